"""`ctdb-event exporter`: metrics for Prometheus, from a separate process that is a client of the daemon."""
