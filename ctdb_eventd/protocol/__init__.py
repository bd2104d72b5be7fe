"""Sans-IO protocol: bytes to messages and back.

Nothing here knows a socket, a clock or an event loop. Import the modules you need; this file imports none, because
the command line pays for every import.
"""
