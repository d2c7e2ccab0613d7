"""From deploy/alerts/alerts.yaml: rules for Prometheus and for its operator, promtool's tests, a list in the docs."""
