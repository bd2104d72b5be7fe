"""`ctdb-node rehearse`: tries a node's configuration and scripts where nothing outside can change.

Judgement is pure (`observed`, `differing`, `findings`, `forecast`, `report`); `course` observes inside of `sandbox`.
"""
