"""`ctdb-node`: the smallest cluster daemon. The whole life of one node, on one machine, without ctdbd.

Decisions are pure (`life`, `health`, `allocation`, `public_addresses`, `tunables`); `node` obeys them.
"""
