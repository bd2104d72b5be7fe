"""Which event may run when: a pure core (`backlog`) and the shell that carries out what it decides (`service`)."""
