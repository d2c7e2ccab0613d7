"""One request to the vendor: how it ended, for the metrics and for the call that needs it."""

import ssl

import httpx
import pytest

from server.deadline import Deadline
from server.errors import Delivery, GatewayError
from server.vendor_api.exchange import Exchanges, Outages
from testkit.vendor_client import Unobserved


class _Raising(httpx.AsyncBaseTransport):
    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise self._error


class _Outcomes(Unobserved):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def vendor_request(self, operation: str, outcome: str, seconds: float) -> None:
        self.seen.append(outcome)


def _broken_by(alert: str) -> httpx.ReadError:
    error, cause = httpx.ReadError("cut"), ssl.SSLError(1, f"[SSL: {alert}]")
    cause.reason = alert
    error.__cause__ = cause
    return error


FAILURES: dict[str, tuple[httpx.TransportError, str, str, Delivery]] = {
    "no connection": (httpx.ConnectError(""), "unreachable", "VENDOR_UNAVAILABLE", Delivery.NOT_SENT),
    "no connection in time": (httpx.ConnectTimeout(""), "unreachable", "VENDOR_UNAVAILABLE", Delivery.NOT_SENT),
    "none free in time": (httpx.PoolTimeout(""), "unreachable", "VENDOR_UNAVAILABLE", Delivery.NOT_SENT),
    "proxy": (httpx.ProxyError(""), "proxy", "VENDOR_UNAVAILABLE", Delivery.NOT_SENT),
    "no reply in time": (httpx.ReadTimeout(""), "timeout", "VENDOR_TIMEOUT", Delivery.UNKNOWN),
    "not HTTP": (httpx.RemoteProtocolError(""), "malformed", "VENDOR_MALFORMED_RESPONSE", Delivery.UNKNOWN),
    "cut": (httpx.ReadError(""), "broken", "VENDOR_UNAVAILABLE", Delivery.UNKNOWN),
    "our certificate refused": (
        _broken_by("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
        "broken",
        "VENDOR_UNAVAILABLE",
        Delivery.NOT_SENT,
    ),
    "another alert": (_broken_by("TLSV1_ALERT_INTERNAL_ERROR"), "broken", "VENDOR_UNAVAILABLE", Delivery.UNKNOWN),
}


@pytest.mark.parametrize(
    ("error", "outcome", "reason", "delivery"), [pytest.param(*case, id=name) for name, case in FAILURES.items()]
)
async def test_each_failure_has_its_outcome_its_reason_and_what_is_known_of_the_request(
    error: httpx.TransportError, outcome: str, reason: str, delivery: Delivery
) -> None:
    """Metrics count the outcome; callers get the reason; a cancel goes on by whether it was sent."""
    observer = _Outcomes()
    exchanges = Exchanges(_Raising(error), 1.0, observer, Outages())
    with pytest.raises(GatewayError) as failure:
        await exchanges.exchange("result", httpx.Request("GET", "http://vendor.test"), Deadline.after(5), 5.0)
    assert observer.seen == [outcome]
    assert (failure.value.reason_name, failure.value.delivery) == (reason, delivery)
