"""A rollout by the chart's timings: gateways replaced one after another under load, as a cluster would do it."""
