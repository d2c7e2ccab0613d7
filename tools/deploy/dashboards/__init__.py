"""Grafana's dashboards, written as tables of panels; and pictures of the same panels from the same queries."""
