"""`ctdb-event lint`: finds mistakes in event scripts before an event does.

`command` is the command line, `check` checks components, `files` and `content` check one script, `report` has the
checks.
"""
