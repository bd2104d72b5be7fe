"""`ctdb-event lint`: mistakes in event scripts, found before an event finds them.

`command` is what is typed, `check` looks at components, `files` and `content` at one script, `report` has the checks.
"""
