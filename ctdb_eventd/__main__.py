"""`python -m ctdb_eventd` is `ctdb-eventd`."""

import sys

from ctdb_eventd.cli import main

if __name__ == "__main__":
    sys.exit(main())
