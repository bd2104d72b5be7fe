"""Event broker that stands in for CTDB's event daemon.

Contains only the version, so that importing the protocol doesn't load the server.
"""

__version__ = "0.1.0"
