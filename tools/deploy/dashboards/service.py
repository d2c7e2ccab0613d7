"""The dashboard of the service: for those who run it."""

from .panels import Dashboard, Panel, Query, Section

_J = 'job=~"$job"'
_I = f'{_J},instance=~"$instance"'
_OURS = f'{_I},grpc_service="callrequest.v1.CallRequestService"'
_RATE = "[$__rate_interval]"
_SPARED = "cache|coalesced|state|cached_failure"
_CAUSED_HERE = (
    "INTERNAL|OVERLOADED|DEADLINE_EXCEEDED|CANCELLATION_OUTCOME_UNKNOWN|VENDOR_ERROR|VENDOR_FAILED|"
    "VENDOR_MALFORMED_RESPONSE|VENDOR_RATE_LIMITED|VENDOR_REJECTED_CREDENTIALS|VENDOR_TIMEOUT|VENDOR_UNAVAILABLE"
)


def _quantile(share: float, metric: str, matchers: str, by: str) -> str:
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}_bucket{{{matchers}}}{_RATE})))"


SERVICE = Dashboard(
    "call-request-gateway-service",
    "Call request gateway: service",
    "What callers get, and what it costs.",
    (
        Section(
            "At a glance",
            (
                Panel("Instances", "short", (Query(f"sum(up{{{_J}}})"),), "number", 4, "that Prometheus can scrape"),
                Panel(
                    "Calls", "reqps", (Query(f"sum(rate(grpc_server_handled_total{{{_OURS}}}{_RATE}))"),), "number", 4
                ),
                Panel(
                    "Failed calls",
                    "percentunit",
                    (
                        Query(
                            f'sum(rate(grpc_server_failures_total{{{_OURS},reason=~"{_CAUSED_HERE}"}}{_RATE}) '
                            f'or rate(batch_items_failed_total{{{_I},reason=~"{_CAUSED_HERE}"}}{_RATE})) '
                            f"/ clamp_min(sum(rate(grpc_server_handled_total{{{_OURS}}}{_RATE}) "
                            f"or rate(batch_items_total{{{_I}}}{_RATE})), 0.001)"
                        ),
                    ),
                    "number",
                    4,
                    "because of the gateway or the vendor; ids in batches count as calls",
                ),
                Panel(
                    "Reads, 99 of 100 within",
                    "s",
                    (
                        Query(
                            _quantile(
                                0.99,
                                "grpc_server_handling_seconds",
                                f'{_OURS},grpc_method="GetCallRequestResult"',
                                "grpc_service",
                            )
                        ),
                    ),
                    "number",
                    4,
                ),
                Panel("Watches", "short", (Query(f"sum(watchers{{{_I}}})"),), "number", 4),
                Panel(
                    "Firing alerts",
                    "short",
                    (Query(f'count(ALERTS{{{_J},alertstate="firing"}}) or vector(0)'),),
                    "number",
                    4,
                ),
            ),
        ),
        Section(
            "Objectives",
            (
                Panel(
                    "Error budget left, of 30 days",
                    "percentunit",
                    (
                        Query(
                            f"clamp_min(min by (sloth_slo) (slo:period_error_budget_remaining:ratio{{{_J}}}), -1)",
                            "{{sloth_slo}}",
                        ),
                    ),
                    width=12,
                    note="of the worst job; below 0 the objective is missed",
                ),
                Panel(
                    "Burn rate, over an hour",
                    "short",
                    (
                        Query(
                            f"max by (sloth_slo) (slo:sli_error:ratio_rate1h{{{_J}}} "
                            "/ on (sloth_id) group_left slo:error_budget:ratio)",
                            "{{sloth_slo}}",
                        ),
                    ),
                    width=12,
                    note="1 spends the budget in 30 days, 14.4 a fiftieth of it in an hour: that pages",
                ),
            ),
        ),
        Section(
            "Calls",
            (
                Panel(
                    "Calls by method",
                    "reqps",
                    (
                        Query(
                            f"sum by (grpc_method) (rate(grpc_server_handled_total{{{_OURS}}}{_RATE}))",
                            "{{grpc_method}}",
                        ),
                    ),
                ),
                Panel(
                    "Failures by reason",
                    "reqps",
                    (
                        Query(
                            f"sum by (reason) (rate(grpc_server_failures_total{{{_OURS}}}{_RATE})) > 0", "{{reason}}"
                        ),
                        Query(
                            f"sum by (reason) (rate(batch_items_failed_total{{{_I}}}{_RATE})) > 0",
                            "in batches: {{reason}}",
                        ),
                    ),
                    "stacked",
                    note="docs/errors.md has what each means",
                ),
                Panel(
                    "Duration, 50, 90 and 99 of 100",
                    "s",
                    tuple(
                        Query(
                            _quantile(
                                share,
                                "grpc_server_handling_seconds",
                                f'{_OURS},grpc_type="unary"',
                                "grpc_method",
                            ),
                            f"{{{{grpc_method}}}}, {round(share * 100)}",
                        )
                        for share in (0.5, 0.9, 0.99)
                    ),
                    note="the vendor's time included",
                ),
                Panel(
                    "Calls by caller",
                    "reqps",
                    (Query(f"sum by (caller) (rate(grpc_server_calls_by_caller_total{{{_I}}}{_RATE}))", "{{caller}}"),),
                    "stacked",
                ),
                Panel(
                    "Calls above their caller's rate",
                    "reqps",
                    (Query(f"sum by (caller) (rate(caller_rate_limited_total{{{_I}}}{_RATE}))", "{{caller}}"),),
                    note="only for callers that have a max_per_second",
                ),
                Panel(
                    "In flight",
                    "short",
                    (Query(f"sum by (kind) (calls_in_flight{{{_I}}})", "{{kind}}"),),
                    note="GATEWAY_MAX_READS and GATEWAY_MAX_CANCELS bound them in each worker",
                ),
            ),
        ),
        Section(
            "Vendor and cache",
            (
                Panel(
                    "Requests to the vendor by outcome",
                    "reqps",
                    (
                        Query(
                            f"sum by (outcome) (rate(vendor_request_seconds_count{{{_I}}}{_RATE})) > 0", "{{outcome}}"
                        ),
                    ),
                    "stacked",
                ),
                Panel(
                    "Reads by where the answer came from",
                    "reqps",
                    (Query(f"sum by (source) (rate(result_reads_total{{{_I}}}{_RATE})) > 0", "{{source}}"),),
                    "stacked",
                ),
                Panel(
                    "Reads without a vendor request of their own",
                    "percentunit",
                    (
                        Query(
                            f'sum(rate(result_reads_total{{{_I},source=~"{_SPARED}"}}{_RATE})) '
                            f'/ sum(rate(result_reads_total{{{_I},source=~"{_SPARED}|vendor"}}{_RATE}))',
                            "share",
                        ),
                    ),
                ),
                Panel(
                    "Reads tried again",
                    "reqps",
                    (Query(f"sum(rate(result_retries_total{{{_I}}}{_RATE}))", "retries"),),
                ),
                Panel(
                    "Cancels by what settled them",
                    "reqps",
                    (Query(f"sum by (settled_by) (rate(cancellations_total{{{_I}}}{_RATE}))", "{{settled_by}}"),),
                    "stacked",
                    note="`nothing`: in doubt, its caller must look after it",
                ),
                Panel(
                    "Pushes by outcome",
                    "reqps",
                    (Query(f"sum by (outcome) (rate(webhook_pushes_total{{{_I}}}{_RATE}))", "{{outcome}}"),),
                ),
            ),
        ),
        Section(
            "Watches and shared state",
            (
                Panel(
                    "Watches by instance",
                    "short",
                    (Query(f"sum by (instance) (watchers{{{_I}}})", "{{instance}}"),),
                    "stacked",
                ),
                Panel(
                    "Watches ended by cause",
                    "reqps",
                    (Query(f"sum by (cause) (rate(watches_ended_total{{{_I}}}{_RATE})) > 0", "{{cause}}"),),
                    "stacked",
                ),
                Panel(
                    "Polls for watches",
                    "reqps",
                    (Query(f"sum by (outcome) (rate(watch_polls_total{{{_I}}}{_RATE}))", "{{outcome}}"),),
                ),
                Panel(
                    "Shared state is up",
                    "short",
                    (Query(f"min by (instance) (state_up{{{_I}}})", "{{instance}}"),),
                    note="only with an engine",
                ),
                Panel(
                    "Files are good",
                    "short",
                    (Query(f"min by (settings) (file_reload_success{{{_I}}})", "{{settings}}"),),
                    note="0: changed files cannot be used, the old ones hold",
                ),
                Panel(
                    "Certificates end in",
                    "d",
                    (
                        Query(
                            f"min by (settings) (certificate_expiry_timestamp_seconds{{{_I}}} - time()) / 86400",
                            "{{settings}}",
                        ),
                    ),
                ),
            ),
        ),
        Section(
            "Processes",
            (
                Panel(
                    "CPU",
                    "short",
                    (Query(f"sum by (instance) (rate(process_cpu_seconds_total{{{_I}}}{_RATE}))", "{{instance}}"),),
                    width=6,
                    note="1: a core",
                ),
                Panel(
                    "Memory",
                    "bytes",
                    (Query(f"sum by (instance) (process_resident_memory_bytes{{{_I}}})", "{{instance}}"),),
                    width=6,
                ),
                Panel(
                    "Open files, of those allowed",
                    "percentunit",
                    (Query(f"max by (instance) (process_open_fds{{{_I}}} / process_max_fds{{{_I}}})", "{{instance}}"),),
                    width=6,
                ),
                Panel(
                    "Restarts, lost lines and spans, failed TLS",
                    "short",
                    (
                        Query(f"sum(changes(process_start_time_seconds{{{_I}}}{_RATE}))", "restarts"),
                        Query(f"sum(increase(log_lines_lost_total{{{_I}}}{_RATE}))", "log lines"),
                        Query(f"sum(increase(trace_spans_dropped_total{{{_I}}}{_RATE}))", "spans"),
                        Query(
                            f"sum by (reason) (increase(tls_handshakes_failed_total{{{_I}}}{_RATE}))", "TLS: {{reason}}"
                        ),
                    ),
                    width=6,
                ),
                Panel(
                    "Versions", "short", (Query(f"count by (version) (build_info{{{_I}}})", "{{version}}"),), width=6
                ),
                Panel(
                    "Workers that serve",
                    "short",
                    (
                        Query(f"sum by (instance) (workers_serving{{{_I}}})", "{{instance}}"),
                        Query(
                            f"sum by (instance) (increase(workers_ended_total{{{_I}}}{_RATE}))", "ended: {{instance}}"
                        ),
                    ),
                    width=6,
                    note="only with GATEWAY_WORKERS above 1",
                ),
            ),
        ),
    ),
)
