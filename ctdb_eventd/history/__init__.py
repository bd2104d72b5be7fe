"""What ran and how it went, in memory: the latest result of each event (`latest`), each component's health."""
