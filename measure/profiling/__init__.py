"""Where a call's CPU goes, step by step, against a budget: `make profile`, docs/profile.md."""
