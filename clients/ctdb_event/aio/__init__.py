"""The client for event loops: anyio around the core."""
