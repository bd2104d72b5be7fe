"""The commands that CTDB's own command line does not have: what the native dialect can say."""
