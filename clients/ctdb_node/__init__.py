"""`ctdb-node`: the smallest cluster daemon. The whole life of one node, on one machine, without ctdbd.

Decisions are pure (`states`, `health`, `allocation`, `public_addresses`, `tunables`); `node` carries them out.
"""
