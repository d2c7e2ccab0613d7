"""Load tests with ghz: scenarios, thresholds, and a report in HTML. How to run them: docs/loadtest.md."""
