"""The vendor, played well: an HTTP service that speaks its dialect, quirks and faults included, for tests.

It knows nothing of the gateway, and has its own clock and memory. docs/sandbox.md says how to use it.
"""

from .sandbox import CLIENT_ID, CLIENT_SECRET, TOKEN_LIFETIME, Sandbox
from .seed_data import describe_known

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "TOKEN_LIFETIME", "Sandbox", "describe_known"]
