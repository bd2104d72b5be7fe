"""The daemon's command line (composition follows)."""


def main() -> int:
    """Starts the daemon."""
    return 1
