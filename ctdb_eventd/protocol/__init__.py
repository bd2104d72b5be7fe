"""Sans-IO protocol: bytes to messages and back.

Nothing here uses a socket, a clock or an event loop. Import the modules that you need; this file imports none, because
every import slows the command line.
"""
