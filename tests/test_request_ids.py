"""Ids of calls: only well-formed ones are taken over, and they go where the call goes."""

import asyncio
import contextvars
import re

import pytest

from server.request_ids import RequestIds, begin_request, outgoing_headers

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize("given", ["a", "Ab.9_-", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "x" * 128])
def test_a_well_formed_request_id_is_taken_over(given: str) -> None:
    """Letters, digits, dots, underscores and hyphens, 1 to 128 of them."""
    assert begin_request([given], []).request_id == given


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([], id="none"),
        pytest.param([""], id="empty"),
        pytest.param(["x" * 129], id="too long"),
        pytest.param(["a b"], id="a blank"),
        pytest.param(["a\n"], id="a line break"),
        pytest.param(['a"'], id="a quote"),
        pytest.param(["a,b"], id="a list"),
        pytest.param(["é"], id="not ASCII"),
        pytest.param(["\u0661"], id="a digit that is not ASCII"),
        pytest.param(["a", "a"], id="two"),
    ],
)
def test_a_missing_or_malformed_request_id_is_replaced(given: list[str]) -> None:
    """32 hex digits, another one for each call."""
    made = {begin_request(given, []).request_id for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in made)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(PARENT, id="version 00"),
        pytest.param(f"01-{TRACE}-{SPAN}-00", id="a later version"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-what-comes-later", id="a later version with more"),
    ],
)
def test_a_well_formed_traceparent_goes_on_as_it_came(given: str) -> None:
    """W3C Trace Context: the trace id is its second part."""
    ids = begin_request(["a"], [given])
    assert ids == RequestIds("a", TRACE, given)
    assert outgoing_headers() == [(b"x-request-id", b"a"), (b"traceparent", given.encode())]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([], id="none"),
        pytest.param([PARENT, PARENT], id="two"),
        pytest.param([PARENT.upper()], id="upper case"),
        pytest.param([f"ff-{TRACE}-{SPAN}-01"], id="version ff"),
        pytest.param([f"00-{'0' * 32}-{SPAN}-01"], id="a trace id of zeros"),
        pytest.param([f"00-{TRACE}-{'0' * 16}-01"], id="a span id of zeros"),
        pytest.param([f"{PARENT}-more"], id="version 00 with more"),
        pytest.param([f"{PARENT}\n"], id="a line break"),
        pytest.param([f"01-{TRACE}-{SPAN}-01-a\r\nx: y"], id="a header smuggled in"),
        pytest.param([f"01-{TRACE}-{SPAN}-01-{'a' * 300}"], id="endless"),
        pytest.param([PARENT[1:]], id="cut off"),
        pytest.param([f" {PARENT}"], id="a blank"),
    ],
)
def test_a_malformed_traceparent_is_left_out(given: list[str]) -> None:
    """As the standard demands: the trace begins anew."""
    assert begin_request(["a"], given) == RequestIds("a")
    assert outgoing_headers() == [(b"x-request-id", b"a")]


async def test_ids_go_with_the_tasks_of_a_call_and_with_no_others() -> None:
    """What a call starts carries its ids; calls beside it have theirs; outside of calls there are none."""

    async def call(number: int) -> list[tuple[bytes, bytes]]:
        begin_request([f"id-{number}"], [])
        await asyncio.sleep(0)
        return await asyncio.create_task(started())

    async def started() -> list[tuple[bytes, bytes]]:
        await asyncio.sleep(0)
        return outgoing_headers()

    assert await asyncio.gather(*map(call, range(3))) == [
        [(b"x-request-id", f"id-{number}".encode())] for number in range(3)
    ]
    assert contextvars.Context().run(outgoing_headers) == []
