"""Callers' rates: who sends more than the file allows is refused with the time to come again, and nobody else is."""

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from server.errors import GatewayError
from server.files import BrokenFileError
from server.rpc.caller_limits import CallerLimits
from server.rpc.callers_file import Caller, read_rules
from testkit.failure import failure
from testkit.gateway import connected, metrics_of, started
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def caller(name: str, rate: float | None) -> Caller:
    return Caller(name, frozenset({"read"}), rate)


def admitted(limits: CallerLimits, who: Caller, calls: int) -> int:
    """How many of so many calls at once are admitted."""
    number = 0
    for _ in range(calls):
        with suppress(GatewayError):
            limits.admit(who)
            number += 1
    return number


@pytest.mark.parametrize(
    ("rate", "at_once", "a_second_later", "a_day_later"),
    [(10, 10, 10, 10), (2.5, 2, 2, 2), (1, 1, 1, 1), (0.5, 1, 0, 1), (512, 512, 512, 512)],
)
def test_a_caller_is_admitted_at_its_rate(rate: float, at_once: int, a_second_later: int, a_day_later: int) -> None:
    """The calls of a second at once, then as many as the rate allows; who was silent for long saves up no more."""
    clock = _Clock()
    limits, who = CallerLimits(enforce=True, exceeded=lambda name: None, now=clock), caller("desk", rate)
    assert admitted(limits, who, 5000) == at_once
    clock.now += 1
    assert admitted(limits, who, 5000) == a_second_later
    clock.now += 86_400
    assert admitted(limits, who, 5000) == a_day_later


def test_a_higher_rate_holds_at_once() -> None:
    """A file that mends a rate that was too low does so for a caller that has used up hours of it, too."""
    clock = _Clock()
    limits = CallerLimits(enforce=True, exceeded=lambda name: None, now=clock)
    assert admitted(limits, caller("desk", 0.001), 5) == 1
    clock.now += 1
    assert admitted(limits, caller("desk", 100), 5) == 0
    clock.now += 1
    assert admitted(limits, caller("desk", 100), 5000) == 100


def test_what_is_refused_costs_nothing_of_the_rate() -> None:
    """Who calls a hundred times too often is still admitted at its rate, over any time."""
    clock, who = _Clock(), caller("desk", 10)
    limits = CallerLimits(enforce=True, exceeded=lambda name: None, now=clock)
    number = 0
    for _ in range(10_000):
        number += admitted(limits, who, 1)
        clock.now += 0.001
    assert number == pytest.approx(10 + 10 * 10, abs=1)


def test_callers_do_not_share_a_rate() -> None:
    """One's calls are nothing to another, and a caller without a limit has none."""
    limits = CallerLimits(enforce=True, exceeded=lambda name: None, now=_Clock())
    assert admitted(limits, caller("greedy", 5), 100) == 5
    assert admitted(limits, caller("desk", 5), 100) == 5
    assert admitted(limits, caller("free", None), 100) == 100


def test_it_says_when_the_next_call_is_admitted() -> None:
    """Exactly: a call a moment before is refused, then it is not."""
    clock, who = _Clock(), caller("desk", 4)
    limits = CallerLimits(enforce=True, exceeded=lambda name: None, now=clock)
    admitted(limits, who, 4)
    with pytest.raises(GatewayError) as caught:
        limits.admit(who)
    assert caught.value.retry_after == pytest.approx(0.25)
    clock.now += 0.24
    assert admitted(limits, who, 1) == 0
    clock.now += 0.011
    assert admitted(limits, who, 2) == 1


def test_a_new_rate_holds_at_once() -> None:
    """The file was changed: who was refused is admitted at the new rate, without a second's calls for nothing."""
    clock = _Clock()
    limits = CallerLimits(enforce=True, exceeded=lambda name: None, now=clock)
    assert admitted(limits, caller("desk", 1), 10) == 1
    assert admitted(limits, caller("desk", 100), 1000) == 0
    clock.now += 0.1
    assert admitted(limits, caller("desk", 100), 1000) == 10


def test_observing_refuses_nothing_and_counts() -> None:
    """As many as would have been refused."""
    exceeded: list[str] = []
    limits = CallerLimits(enforce=False, exceeded=exceeded.append, now=_Clock())
    assert admitted(limits, caller("desk", 10), 25) == 25
    assert exceeded == ["desk"] * 15


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "true", '"5"', "[5]", "1e7", "1e-9", "{}"])
def test_a_rate_that_is_not_a_number_within_bounds_breaks_the_file(tmp_path: Path, value: str) -> None:
    """It names the caller and the key, never the value."""
    path = tmp_path / "callers.toml"
    path.write_text(file_of(f"max_per_second = {value}"))
    with pytest.raises(BrokenFileError, match=r"^caller 1 \(desk\): max_per_second must be a number from"):
        read_rules(path)


@pytest.mark.parametrize(("value", "read"), [("5", 5.0), ("0.5", 0.5), ("1_000_000", 1e6)])
def test_a_rate_is_whole_or_a_fraction(tmp_path: Path, value: str, read: float) -> None:
    """Calls a second."""
    path = tmp_path / "callers.toml"
    path.write_text(file_of(f"max_per_second = {value}"))
    assert {each.name: each.max_per_second for each in read_rules(path).callers} == {"desk": read, "other": None}


def file_of(line: str) -> str:
    """A file of callers: `desk` with that line, `other` without."""
    tables = [
        f'[[caller]]\nname = "{name}"\ntoken_sha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
        f'may = ["read", "cancel"]\n{more}\n'
        for name, more in (("desk", line), ("other", ""))
    ]
    return "\n".join(tables)


def bearer(name: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {name}"),)


async def test_a_greedy_caller_is_refused_with_a_time(vendor: ScriptedVendor, tmp_path: Path) -> None:
    """RESOURCE_EXHAUSTED, CALLER_RATE_LIMITED, RetryInfo; other callers and health are served; the file may change."""
    path = tmp_path / "callers.toml"
    path.write_text(file_of("max_per_second = 0.001"))
    async with started(vendor.url, callers=path) as gateway, connected(gateway) as client:
        limited = 'caller_rate_limited_total{caller="desk"}'
        assert f"{limited} 0.0" in await metrics_of(gateway)
        await client.GetCallRequestResult(GET, metadata=bearer("desk"))
        asked = len(vendor.asked)
        got = await failure(client.GetCallRequestResult(GET, metadata=bearer("desk")))
        assert (got.code, got.reason, got.retry) == ("RESOURCE_EXHAUSTED", "CALLER_RATE_LIMITED", 300.0)
        cancel = CancelCallRequestRequest(call_request_id=RESULT_ID)
        assert (
            await failure(client.CancelCallRequest(cancel, metadata=bearer("desk")))
        ).reason == "CALLER_RATE_LIMITED"
        assert len(vendor.asked) == asked
        await asyncio.gather(*(client.GetCallRequestResult(GET, metadata=bearer("other")) for _ in range(20)))
        assert f"{limited} 2.0" in await metrics_of(gateway)
        path.write_text(file_of(""))
        async with asyncio.timeout(10):
            while True:
                with suppress(grpc.aio.AioRpcError):
                    await client.GetCallRequestResult(GET, metadata=bearer("desk"))
                    break
                await asyncio.sleep(0.1)


async def test_observing_serves_all(vendor: ScriptedVendor, tmp_path: Path) -> None:
    """GATEWAY_CALLER_LIMITS=observe."""
    path = tmp_path / "callers.toml"
    path.write_text(file_of("max_per_second = 0.001"))
    async with started(vendor.url, callers=path, caller_limits="observe") as gateway, connected(gateway) as client:
        for _ in range(5):
            await client.GetCallRequestResult(GET, metadata=bearer("desk"))
        assert 'caller_rate_limited_total{caller="desk"} 4.0' in await metrics_of(gateway)
