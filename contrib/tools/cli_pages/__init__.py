"""Turns the command line's table into completions, man pages and a chapter of the documentation."""
