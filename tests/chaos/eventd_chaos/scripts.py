"""The node: event scripts that do what their first argument says, and tell of it."""

from __future__ import annotations

import os
from pathlib import Path

from nodes import Node, can_make_cgroups

__all__ = ["BEHAVIOURS", "GENERATION", "NEVER_ENDING", "make_node"]

GENERATION = "CHAOS_GENERATION"
"""Variable that tells for which daemon a process works."""

BEHAVIOURS = {
    "quick": 12,
    "slow": 6,
    "fails": 2,
    "hangs": 1,
    "deaf": 1,
    "family": 1,
    "grumbles": 1,
}
"""What a script may do, and how often it does."""
if can_make_cgroups():
    BEHAVIOURS["strays"] = 1  # elsewhere nobody would find them
NEVER_ENDING = ("hangs", "deaf", "family", "strays")

# $2 is BEHAVIOUR.CLIENT.NUMBER. Nothing but this script's own processes has descriptor 9, and its flock ends with the
# last of them: whoever doesn't get it at once runs beside another one for the same address.
_ADDRESS = """
case "$1" in takeip | releaseip) ;; *) exit 0 ;; esac
exec 9>>"$CTDB_BASE/var/alone/$3"
flock -n 9 || echo "$*" >>"$CTDB_BASE/var/overlaps"
echo "start $3 $2 $$" >>"$CTDB_BASE/var/trace"
case "$2" in
slow.*) sleep 0.05 ;;
fails.*) exit 1 ;;
hangs.*) sleep 1000 ;;
deaf.*) trap '' TERM HUP INT; while :; do sleep 1000; done ;;
family.*) for child in 1 2 3; do sh -c 'trap "" TERM; sleep 1000; :' & done; wait ;;
strays.*) setsid sh -c 'trap "" TERM HUP INT; sleep 1000; :' & sleep 1000 ;;
grumbles.*) n=0; while [ $n -lt 300 ]; do echo "$n: something to be logged"; n=$((n + 1)); done ;;
esac
echo "end $3 $2 $$" >>"$CTDB_BASE/var/trace"
"""
_OTHER = """
sleep 0.02
"""
_CONFIGURATION = """
[logging]
  location = file:{base}/log
  log level = WARNING
[eventd]
  kill grace = 0.3
"""


def make_node(base: Path) -> Node:
    """Lays out a node in a directory."""
    node = Node(base)
    (node.base / "ctdb.conf").write_text(_CONFIGURATION.format(base=base))
    os.mkdir(node.var / "alone")
    node.script("10.address.script", _ADDRESS)
    node.script("20.after.script", "exit 0")
    node.script("10.other.script", _OTHER, component="other")
    return node
