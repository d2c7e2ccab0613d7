"""Checks of what `deploy/` ships: each is a command of its own, and `python -m tools.deploy` runs them all."""
