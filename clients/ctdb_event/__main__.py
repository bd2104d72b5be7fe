"""`python -m ctdb_event` is the command line."""

import sys

from ctdb_event.cli import main

sys.exit(main())
