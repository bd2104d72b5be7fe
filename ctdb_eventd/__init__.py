"""Event broker that stands in for CTDB's event daemon.

Only the version lives here: whoever imports the protocol must not pay for the server.
"""

__version__ = "0.1.0"
