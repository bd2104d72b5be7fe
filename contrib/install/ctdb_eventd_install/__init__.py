"""Puts our event daemon in the place of CTDB's own on a node, and CTDB's back again: the program ctdb-eventd-install."""
