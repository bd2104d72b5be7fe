"""`ctdb-node rehearse`: tries a node's configuration and scripts in a sandbox that changes nothing on the machine.

`sandbox` starts the namespaces, `sandbox_init` sets them up, `observer` runs the events there. What the observations
mean is decided without I/O: `observed`, `comparison`, `findings`, `forecast`, `report`.
"""
