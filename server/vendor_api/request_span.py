"""The span of a request to the vendor, by OpenTelemetry's conventions for HTTP clients: never its query or a header."""

import httpx

from ..observability import spans
from ..observability.spans import Span

_PORTS = {"http": 80, "https": 443}
_NO_FAILURES = frozenset({"2xx", "3xx", "abandoned"})


def begin_request_span(operation: str, request: httpx.Request) -> Span | None:
    """Begins it, and has the request carry it; None if nothing is traced."""
    if spans.current() is None:
        return None
    url, target = request.url, request.extensions.get("target", request.url.raw_path)
    path = target.decode("ascii", "replace").partition("?")[0]  # the query of a token request holds the secret
    attributes: dict[str, str | int] = {
        "http.request.method": request.method,
        "server.address": url.host,
        "server.port": url.port or _PORTS[url.scheme],
        "url.full": f"{url.scheme}://{url.netloc.decode('ascii', 'replace').rpartition('@')[2]}{path}",
        "callrequest.vendor.operation": operation,
    }
    span = spans.child(f"{request.method} {operation}", attributes, is_client=True)
    if span is not None:
        headers = [pair for pair in request.extensions.get("headers", []) if pair[0] != b"traceparent"]
        request.extensions["headers"] = [*headers, (b"traceparent", span.traceparent.encode())]
    return span


def end_request_span(span: Span, outcome: str, status: int | None) -> None:
    """Ends it. outcome: one of exchange.OUTCOMES. status: of the reply, if there is one."""
    span.set({"callrequest.vendor.outcome": outcome})
    if status is not None:
        span.set({"http.response.status_code": status})
    failed = outcome not in _NO_FAILURES
    span.end((outcome if status is None else str(status)) if failed else None)
