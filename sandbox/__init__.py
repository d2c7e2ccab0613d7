"""A stand-in for the vendor: an HTTP service with its replies, quirks and faults, for tests.

It shares no code with the gateway, and has its own clock and state. docs/sandbox.md has how to use it.
"""

from .sandbox import CLIENT_ID, CLIENT_SECRET, TOKEN_LIFETIME, Sandbox
from .seed_data import describe_seed_data

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "TOKEN_LIFETIME", "Sandbox", "describe_seed_data"]
