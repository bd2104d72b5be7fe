"""Generates man pages and a chapter of the documentation from the command line's table."""
