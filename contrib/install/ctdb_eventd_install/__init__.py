"""Puts our event daemon in the place of CTDB's own, and that one back again: the program ctdb-eventd-install."""
