"""A cluster of real ctdbd nodes on one machine, with the event daemon of one's choice. See docs/lab.md."""

from ctdb_lab.errors import LabError, NoAnswer
from ctdb_lab.lab import Lab
from ctdb_lab.node import Node
from ctdb_lab.plan import CTDB_EVENTD, Plan, PublicAddress
from ctdb_lab.waiting import wait_until

__all__ = ["CTDB_EVENTD", "Lab", "LabError", "NoAnswer", "Node", "Plan", "PublicAddress", "wait_until"]
