"""`python -m ctdb_eventd_install` is `ctdb-eventd-install`."""

import sys

from ctdb_eventd_install.cli import main

sys.exit(main())
