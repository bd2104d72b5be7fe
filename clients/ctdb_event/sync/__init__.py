"""The blocking client: a plain socket around the core."""
