"""How our event daemon and command line compare with CTDB's own, measured in turn in one run.

`python -m benchmarks` prints one table; `--check` makes a missed limit an exit status.
"""
