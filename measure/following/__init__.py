"""Callers that follow call requests to their ends, by polling or by watching, and a vendor that makes the calls."""
