"""A fuzzer of the daemon: structure-aware mutations of both dialects and of ctdb.conf, judged by a model.

`streams` makes what a client sends on one connection, `model` says by docs/protocol.md what may be answered,
`conversation` sends and judges it, `configuration` does the same for ctdb.conf, and `campaign` counts.
"""
