"""Turns the command line's table into man pages and a chapter of the documentation."""
