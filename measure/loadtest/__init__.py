"""Load tests with ghz: scenarios, thresholds, and a report that people want to look at. Run it: docs/loadtest.md."""
