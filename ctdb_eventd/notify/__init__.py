"""Runs the administrator's program for notable events: `[notify]` in ctdb.conf."""
