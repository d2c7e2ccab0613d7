"""State is bounded, and the end waits for no request."""

import asyncio
import time

import aiohttp
import pytest

from sandbox import Sandbox
from sandbox.call_requests import Plan
from sandbox.clock import Clock
from sandbox.fault_queue import FaultPlan, FaultQueue
from sandbox.request_log import MAX_REQUESTS, RequestLog
from sandbox.state import MAX_CALL_REQUESTS, MAX_FAULTS, LimitReached, State
from sandbox.tokens import MAX_TOKENS, Tokens
from tests.sandbox.caller import PENDING, Caller


def test_what_is_remembered_is_bounded() -> None:
    """Call requests, faults, tokens and requests cannot grow without end; the counts go on."""
    state = State(token_lifetime=60)
    for number in range(MAX_CALL_REQUESTS):
        state.make(f"{number:016}", Plan())
    state.make(PENDING, Plan())  # in the place of another
    with pytest.raises(LimitReached):
        state.make("oneRequestToMany", Plan())
    for _ in range(MAX_FAULTS):
        state.plan_fault(FaultPlan("slow"))
    with pytest.raises(LimitReached):
        state.plan_fault(FaultPlan("slow"))
    asked = RequestLog(Clock())
    for _ in range(MAX_REQUESTS + 5):
        asked.record("GET", "/" * 10_000, "result", "x" * 10_000)
    assert len(asked.report()["requests"]) == MAX_REQUESTS
    assert len(str(asked.report())) < MAX_REQUESTS * 1000
    assert asked.report()["counts"]["result"] == MAX_REQUESTS + 5
    tokens = Tokens(Clock(), 60)
    first = tokens.issue()
    for _ in range(MAX_TOKENS):
        last = tokens.issue()
    assert not tokens.accepts(f"Bearer {first}")
    assert tokens.accepts(f"Bearer {last}")


def test_a_queue_gives_each_operation_its_faults() -> None:
    """In order, each so many times, and those for any operation to all."""
    queue = FaultQueue((FaultPlan("slow", "cancel", 1), FaultPlan("hang", times=2), FaultPlan("cut_off", "result")))
    taken = [queue.take(operation) for operation in ("result", "cancel", "cancel", "cancel", "result")]
    assert [plan and plan.name for plan in taken] == ["hang", "slow", "hang", None, "cut_off"]


@pytest.mark.parametrize("name", ["hang", "slow"])
async def test_the_end_waits_for_nobody(name: str) -> None:
    """Requests that hang, and connections kept alive, delay it by a second at most."""
    sandbox = Sandbox()
    async with aiohttp.ClientSession() as session:
        async with sandbox:
            caller = Caller(session, sandbox.url)
            session._retry_connection = False  # noqa: SLF001 (there is no public way)
            await caller.renew()
            made = await caller.make(fault=name, seconds=60)
            waiting = [asyncio.create_task(caller.result(made)) for _ in range(5)]
            await asyncio.sleep(0.2)
            assert (await caller.control("GET", "requests")).json["counts"]["result"] == len(waiting)
            begun = time.monotonic()
        assert time.monotonic() - begun < 20  # not 60
        await asyncio.wait(waiting, timeout=20)
        assert all(task.done() for task in waiting)
        for task in waiting:
            task.exception()


async def test_a_taken_port_is_an_error() -> None:
    """OSError, and nothing is left open."""
    async with Sandbox() as first:
        with pytest.raises(OSError, match="in use"):
            await Sandbox(port=first.port).__aenter__()
