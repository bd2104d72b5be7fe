"""Client library and command line of the event broker."""
