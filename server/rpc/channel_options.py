"""The options of gRPC's servers: limits of size, streams and connections."""

from typing import Any

MAX_REQUEST_BYTES, MAX_METADATA_BYTES = 64 << 10, 8 << 10

WATCH_SHARE = 2 / 3
"""The longest share of a connection's age for which a watch lasts; the grace for its end is a minute more."""


def channel_options(max_connection_age: float, max_streams: int) -> tuple[tuple[str, Any], ...]:
    """The options. max_connection_age: seconds, which gRPC varies by 10 % either way. max_streams: of a connection."""
    return (
        ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA_BYTES),
        ("grpc.max_concurrent_streams", max_streams),
        # Until a client acknowledges SETTINGS, gRPC's core enforces none of them: 16 MB of metadata a call. A minute
        # by default.
        ("grpc.http2.settings_timeout", 10_000),
        # Clients may ping every 10 s, with or without calls. The minimum is half of that, since pings that leave 10 s
        # apart may arrive closer together. With only one of the two options clients get too_many_pings.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # A client that vanished is noticed within 50 s. gRPC's defaults are two hours and a minute.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.http2.ping_timeout_ms", 20_000),
        # Clients reconnect from time to time, and so reach servers that started later.
        ("grpc.max_connection_age_ms", round(max_connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", round((max_connection_age * WATCH_SHARE + 60) * 1000)),
        # With more than 1 000 calls waiting to be taken gRPC refuses some at random, as CANCELLED. The bounds in flight
        # do that better: as OVERLOADED, with RetryInfo. Each that waits costs 25 KB, also when it was reset long ago.
        ("grpc.server.max_pending_requests", 6_000),
        ("grpc.server.max_pending_requests_hard_limit", 6_000),
        # It would count a call against max_concurrent_streams until Python has let go of it. A client that has more to
        # call begins the next one before: of 300 calls at once over one channel 67 to 171 were refused.
        ("grpc.http.overload_protection", 0),
    )
