"""Tests: each states its rule in one line, and fails when the rule is broken."""
