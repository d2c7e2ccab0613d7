"""The vendor, played well: an HTTP service that speaks its dialect, quirks and faults included, for tests.

It knows nothing of the gateway, and has its own clock and memory. docs/sandbox.md says how to use it.
"""

from .known import describe_known
from .sandbox import CLIENT_ID, CLIENT_SECRET, TOKEN_LIFETIME, Sandbox

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "TOKEN_LIFETIME", "Sandbox", "describe_known"]
