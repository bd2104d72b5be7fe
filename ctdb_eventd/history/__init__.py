"""What ran and how it went: the latest result of each event, in memory (`latest`)."""
