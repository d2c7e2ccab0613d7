"""The client against a gateway that runs: `python -m tools.clients python` starts one and sets the environment."""
