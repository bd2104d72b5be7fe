"""A real daemon under everything that may happen to it at once, and what must hold meanwhile and afterwards.

Clients ask for address events, monitors and others, cancel some, leave in the middle and ask for too much; scripts
hang, ignore signals, fail and have children; daemon and guardian are killed, together and apart, stopped and continued.
Scripts leave a trace and hold a lock for their address, so an overlap is seen by the kernel, not guessed from times.
"""
