"""`python -m ctdb_node`."""

from ctdb_node.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
