"""Benchmarks of our event daemon and command line against CTDB's own, both measured in turn.

`python -m benchmarks` prints a table; with `--check` a missed limit makes the exit status 1.
"""

import sys
from pathlib import Path

# the lab isn't installed with the package
sys.path.insert(0, str(Path(__file__).parents[1] / "contrib" / "lab"))
