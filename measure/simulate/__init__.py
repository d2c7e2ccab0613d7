"""How vendor calls, engine operations, CPU and memory grow with open call requests: a simulation, and its check."""
