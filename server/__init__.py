"""The gateway: gRPC in, the vendor's REST API out. `app.py` wires it; imports point from there to `errors.py`."""

__version__ = "0.1.0"
