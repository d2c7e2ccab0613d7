"""Nothing that the vendor sends costs more than its length: each shape is decoded and translated in linear time."""

import gc
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

import pytest

from callrequest.v1.call_request_pb2 import CallRequestResult
from server.errors import GatewayError
from server.vendor_api.document import MAX_CONTAINERS, MAX_DEPTH, MAX_JSON_CHARACTERS, NotAnObject, parse, text_of
from server.vendor_api.mapping import KNOWN_KEYS
from server.vendor_api.readers import MAX_WORD_CHARACTERS
from testkit.scripted_vendor import pending

from .answering import answer
from .large_replies import BROKEN, PATHS, VALUES, reply

SIZE = 64 << 10
"""Bytes of a reply: quadratic work on it takes minutes, linear work some milliseconds."""

MAX_RATIO = 20
"""How many times as long as the standard library's decoding of it a reply may take; most take twice as long or less."""

MIN_DECODING = 0.001  # seconds: shorter ones are mostly the measuring


def _handle(body: bytes) -> None:
    for operation in ("result", "cancel"):
        with suppress(GatewayError):
            answer(body, operation).SerializeToString()


def _decode(body: bytes) -> None:
    with suppress(ValueError, RecursionError):
        json.loads(body)


def _seconds(work: Callable[[bytes], None], body: bytes) -> float:
    gc.disable()  # its time is that of the heap, the tests' own included
    tracer = sys.gettrace()
    sys.settrace(None)  # that of the coverage costs more than the work
    try:
        begun = time.thread_time()  # of this thread alone, however busy the machine is
        work(body)
        return time.thread_time() - begun
    finally:
        sys.settrace(tracer)
        gc.enable()


def _calls(work: Callable[[], object]) -> int:
    """How many functions are called, in Python or in C."""
    count = 0

    def called(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event.endswith("call")

    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def _bodies(value: Callable[[int], str], size: int) -> dict[str, bytes]:
    made = value(size)
    return {"": made.encode(), **{path: reply(path, made).encode() for path in PATHS}}


@pytest.mark.parametrize("name", VALUES)
def test_a_large_value_costs_no_more_than_its_length(name: str) -> None:
    """At every place: not many times what plain decoding takes, the best of three tries."""
    for path, body in _bodies(VALUES[name], SIZE).items():
        allowed = MAX_RATIO * max(MIN_DECODING, min(_seconds(_decode, body) for _ in range(3)))
        assert any(_seconds(_handle, body) <= allowed for _ in range(3)), path


@pytest.mark.parametrize("name", VALUES)
def test_twice_the_length_costs_no_more_than_twice_the_calls(name: str) -> None:
    """Counted, not measured: whatever is done for each character, key or value is done once."""
    half, whole = _bodies(VALUES[name], SIZE // 16), _bodies(VALUES[name], SIZE // 8)
    for path in half:
        once, twice = (_calls(partial(_handle, each[path])) for each in (half, whole))
        assert twice <= 2.2 * once + 200, path


@pytest.mark.parametrize("name", [name for name, value in VALUES.items() if value(100).startswith('"')])
def test_a_long_text_is_read_without_a_call_for_each_of_its_characters(name: str) -> None:
    """Whatever is done for each character is done in C, in a bounded number of calls."""
    for path, body in _bodies(VALUES[name], SIZE).items():
        assert _calls(partial(_handle, body)) < 3000, path


@pytest.mark.parametrize("name", BROKEN)
def test_a_large_body_that_is_no_json_costs_no_more_than_its_length(name: str) -> None:
    """It is malformed, after no more than what a decoder takes."""
    body = BROKEN[name](SIZE).encode()
    allowed = MAX_RATIO * max(MIN_DECODING, min(_seconds(_decode, body) for _ in range(3)))
    assert any(_seconds(_handle, body) <= allowed for _ in range(3))
    with pytest.raises(NotAnObject) as caught:
        parse(body, KNOWN_KEYS)
    assert caught.value.is_page == (name != "blanks")


@pytest.mark.parametrize(
    ("begin", "end"), [pytest.param("[", "]", id="arrays"), pytest.param('{"a":', "}", id="objects")]
)
@pytest.mark.parametrize("depth", [MAX_DEPTH - 2, MAX_DEPTH - 1, MAX_DEPTH, 500, 600, 990, 1000, 100_000])
def test_json_nested_beyond_the_bound_is_malformed(begin: str, end: str, depth: int) -> None:
    """The reply's own object is the first level; beyond the bound it is malformed, never a RecursionError."""
    nested = f"{begin * depth}0{end * depth}"
    body = json.dumps(pending())[:-1] + f', "new": {nested}}}'
    if depth < MAX_DEPTH:
        assert answer(body.encode(), "result").call_request_id
    else:
        with pytest.raises(GatewayError, match="VENDOR_MALFORMED_RESPONSE"):
            answer(body.encode(), "result")


@pytest.mark.parametrize("sign", ["[", "{", '\\"[', "\\\\[", '\\\\\\"{'])
def test_brackets_in_text_are_not_nested(sign: str) -> None:
    """A text may hold any number of them, escaped quotes and backslashes between and at its end."""
    text = sign * 100_000 + "\\\\"
    body = json.dumps(pending())[:-1] + f', "new": "{text}", "more": "{text}"}}'
    assert answer(body.encode(), "result").call_request_id


def test_a_bounded_number_of_objects_and_arrays_is_read() -> None:
    """As many as the bound: decoded; one more: malformed."""
    for containers, is_read in ((MAX_CONTAINERS, True), (MAX_CONTAINERS + 1, False)):
        body = json.dumps(pending() | {"new": [[]] * (containers - 2)}).encode()
        with suppress(GatewayError):
            assert bool(answer(body, "result").call_request_id) == is_read
            continue
        assert not is_read


def test_a_large_object_is_passed_on_in_part() -> None:
    """Text is passed on whole; an object or an array in its place up to a bound."""
    document = parse(b'{"result": {"callType": [' + b"[1.50, 7]," * 5000 + b"0]}}", KNOWN_KEYS)
    text = text_of(document.get("result").get("callType"))
    assert text == ("[" + "[1.50, 7], " * 5000)[:MAX_JSON_CHARACTERS] + "…"
    assert _calls(lambda: text_of([[]] * 1_000_000)) < 10 * MAX_JSON_CHARACTERS
    assert text_of("x" * 1_000_000) == "x" * 1_000_000
    assert text_of(parse(b'{"success": %s}' % (b"1" * 1_000_000), KNOWN_KEYS).get("success")) == "1" * 1_000_000


def test_a_long_word_is_known_by_its_beginning_alone() -> None:
    """A word with a known beginning may be of any length; another long one is unknown, however it begins or ends."""
    long = "_VIA_EMAIL" * MAX_WORD_CHARACTERS
    for word in ("-" * MAX_WORD_CHARACTERS + "SUCCESS", "SUCCESS" + "-" * MAX_WORD_CHARACTERS + "NOT"):
        outcome = {"actionRequired": {"action": f"RESEND_PAYMENT{long}"}, "callStatus": word}
        result = answer(json.dumps(pending() | {"result": outcome}).encode(), "result")
        assert isinstance(result, CallRequestResult)
        assert result.outcome.action_required.action
        assert [(each.field, each.value) for each in result.unrecognized_values] == [("outcome.call_status", word)]
