"""Starts a program of the administrator's for what an administrator wants to know: `[notify]` in ctdb.conf."""
