"""The alerts for real: gateways under faults, a Prometheus that scrapes them, and which alerts fire."""
