"""The dashboard of the vendor: a page to show to the vendor."""

from .panels import Dashboard, Panel, Query, Section

_J = 'job=~"$job"'
_RATE = "[$__rate_interval]"
_LOST = 'outcome=~"5xx|unreachable|proxy|timeout|unanswered|broken|malformed"'
_REQUESTS = f"vendor_request_seconds_count{{{_J}}}"

VENDOR = Dashboard(
    "call-request-gateway-vendor",
    "Call request gateway: vendor",
    "How the vendor's API does, seen from its caller: outages, latency, and where its replies differ from its pages.",
    (
        Section(
            "At a glance",
            (
                Panel(
                    "Requests with a usable reply",
                    "percentunit",
                    (
                        Query(
                            f"1 - sum(increase(vendor_request_seconds_count{{{_J},{_LOST}}}[$__range])) "
                            f"/ sum(increase({_REQUESTS}[$__range]))"
                        ),
                    ),
                    "number",
                    6,
                    "over the time shown",
                ),
                Panel("Requests", "short", (Query(f"sum(increase({_REQUESTS}[$__range]))"),), "number", 6),
                Panel(
                    "Results, 99 of 100 within",
                    "s",
                    (
                        Query(
                            "histogram_quantile(0.99, sum by (le) (increase("
                            f'vendor_request_seconds_bucket{{{_J},operation="result"}}[$__range])))'
                        ),
                    ),
                    "number",
                    6,
                    "requests that were given up included",
                ),
                Panel(
                    "Replies with a quirk",
                    "short",
                    (Query(f"sum(increase(vendor_quirks_total{{{_J}}}[$__range]))"),),
                    "number",
                    6,
                ),
            ),
        ),
        Section(
            "Outages and latency",
            (
                Panel(
                    "Requests without an answer, by outcome",
                    "percentunit",
                    (
                        Query(
                            f"sum by (outcome) (rate(vendor_request_seconds_count{{{_J},{_LOST}}}{_RATE})) "
                            f"/ on () group_left sum(rate({_REQUESTS}{_RATE}))",
                            "{{outcome}}",
                        ),
                    ),
                    "stacked",
                    12,
                    "of all requests; 5xx: the vendor's own; unreachable: no connection; timeout, unanswered: no reply "
                    "in time; broken: cut off",
                ),
                Panel(
                    "Requests by operation and outcome",
                    "reqps",
                    (
                        Query(
                            f"sum by (operation, outcome) (rate({_REQUESTS}{_RATE})) > 0", "{{operation}} {{outcome}}"
                        ),
                    ),
                    "stacked",
                    12,
                ),
                Panel(
                    "Latency of replies, 50 of 100",
                    "s",
                    (
                        Query(
                            "histogram_quantile(0.5, sum by (le, operation) (rate("
                            f'vendor_request_seconds_bucket{{{_J},outcome=~"[2345]xx|429"}}{_RATE})))',
                            "{{operation}}",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Latency of replies, 99 of 100",
                    "s",
                    (
                        Query(
                            "histogram_quantile(0.99, sum by (le, operation) (rate("
                            f'vendor_request_seconds_bucket{{{_J},outcome=~"[2345]xx|429"}}{_RATE})))',
                            "{{operation}}",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Calls that failed because of the vendor",
                    "reqps",
                    (
                        Query(
                            "sum by (reason) (rate("
                            f'grpc_server_failures_total{{{_J},reason=~"VENDOR_.*"}}{_RATE}) '
                            f'or rate(batch_items_failed_total{{{_J},reason=~"VENDOR_.*"}}{_RATE})) > 0',
                            "{{reason}}",
                        ),
                    ),
                    "stacked",
                    12,
                    "VENDOR_RATE_LIMITED: it answered 429, or GATEWAY_VENDOR_MAX_CALLS_PER_SECOND held them back",
                ),
                Panel(
                    "Reads that waited for its Retry-After, or spared it",
                    "reqps",
                    (
                        Query(
                            f'sum by (source) (rate(result_reads_total{{{_J},source=~"held|throttled"}}{_RATE}))',
                            "{{source}}",
                        ),
                    ),
                    "stacked",
                    12,
                ),
            ),
        ),
        Section(
            "Where replies differ from the API",
            (
                Panel(
                    "Replies with a quirk, by its number, a day",
                    "short",
                    (Query(f"sum by (quirk) (increase(vendor_quirks_total{{{_J}}}[1d])) > 0", "{{quirk}}"),),
                    "lines",
                    12,
                    "docs/metrics.md has what each number is; a new one is a change at the vendor",
                ),
                Panel(
                    "Values that are not in its pages, by field, a day",
                    "short",
                    (
                        Query(
                            f"sum by (field) (increase(vendor_unrecognized_values_total{{{_J}}}[1d])) > 0", "{{field}}"
                        ),
                    ),
                    "lines",
                    12,
                    "the texts themselves are in the answers' unrecognized_values, never in a metric",
                ),
                Panel(
                    "Cancels by what settled them",
                    "reqps",
                    (Query(f"sum by (settled_by) (rate(cancellations_total{{{_J}}}{_RATE}))", "{{settled_by}}"),),
                    "stacked",
                    12,
                    "`reading back`: the vendor's reply was lost; `nothing`: its effect could not be found out",
                ),
                Panel(
                    "Pushes by outcome",
                    "reqps",
                    (Query(f"sum by (outcome) (rate(webhook_pushes_total{{{_J}}}{_RATE}))", "{{outcome}}"),),
                    "stacked",
                    12,
                ),
            ),
        ),
    ),
)
