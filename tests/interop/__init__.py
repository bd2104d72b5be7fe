"""Proof with the real programs of Debian's ctdb package: ours stand in for its event daemon and its command line."""
