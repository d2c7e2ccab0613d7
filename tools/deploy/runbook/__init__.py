"""The runbook: its sections, its commands and its queries, read from the page, and a check that runs the commands."""
