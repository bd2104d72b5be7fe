"""`ctdb-event exporter`: metrics for Prometheus, by a process of its own that asks the daemon as any client does."""
