"""`ctdb-event timeline`: runs as a chart, in a terminal or in files."""
