"""Whatever the vendor sends becomes a valid message or VENDOR_MALFORMED_RESPONSE, never anything else."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_service_pb2 import GetCallRequestResultResponse
from server.errors import GatewayError
from server.vendor_api.document import parse
from server.vendor_api.mapping import ID, KNOWN_KEYS
from server.vendor_api.quirks import Observations
from server.vendor_api.translate import read_cancellation, read_result
from testkit.scripted_vendor import RESULT_ID

from .answering import answer
from .test_recorded import RECORDED

OTHER_ID = "zzzzZZZZ99990000"
EXPECTED_REASONS = {
    reasons.ERROR_REASON_VENDOR_MALFORMED_RESPONSE,
    reasons.ERROR_REASON_VENDOR_ERROR,
    reasons.ERROR_REASON_CALL_REQUEST_NOT_FOUND,
    reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED,
    reasons.ERROR_REASON_VENDOR_REJECTED_REQUEST,
}


def translate(body: bytes, operation: str) -> pb.CallRequestResult | None:
    """What becomes of a reply at 200: a result that can be sent, or None where it may fail."""
    try:
        message = answer(body, operation)
    except GatewayError as error:
        if error.reason not in EXPECTED_REASONS:
            raise
        return None
    assert message.call_request_id == RESULT_ID
    assert len(message.SerializeToString()) < 3 * len(body) + 1000
    if not isinstance(message, pb.CallRequestResult):
        return None
    sent = GetCallRequestResultResponse(call_request_result=message).SerializeToString()
    GetCallRequestResultResponse.FromString(sent)
    return message


def check(body: bytes, operation: str = "result") -> None:
    """Translates, and checks that nothing in the message is of another request or made up."""
    result = translate(body, operation)
    if result is None:
        return
    assert result.call_request_id == RESULT_ID
    if result.HasField("outcome"):
        assert all(value is not None for value in (result.outcome.call_type, result.outcome.call_status))
    for field, enum in ((result.status, pb.CallRequestStatus), (result.outcome.call_type, pb.CallType)):
        assert field in enum.values()
    assert result.status or any(each.field == "status" for each in result.unrecognized_values)
    for each in result.unrecognized_values:
        _assert_unset(result, each.field)


def _assert_unset(result: pb.CallRequestResult, path: str) -> None:
    """What is reported as not recognised is not set as well."""
    message: Any = result
    *parents, leaf = path.split(".")
    for name in parents:
        message = getattr(message, name)
    assert getattr(message, leaf) == type(message)().__getattribute__(leaf)


texts = st.text() | st.sampled_from(
    [
        "",
        " ",
        "COMPLETED",
        "SUCCESS",
        "processed",
        RESULT_ID,
        OTHER_ID,
        "TRUE",
        "2025-06-03T10:10:00Z",
        "NOT_FOUND",
        "\ud800",
    ]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
keys = st.sampled_from(
    [*sorted(KNOWN_KEYS.spellings), *sorted(map(str.lower, KNOWN_KEYS.spellings)), "other"]
) | st.text(max_size=3)
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=8), max_leaves=30
)


@given(documents, st.sampled_from(["result", "cancel"]))
def test_any_json_whatever_is_a_message_or_malformed(document: Any, operation: str) -> None:
    """Any JSON value, NaN and lone surrogates included, never raises anything but the catalogue's errors."""
    check(json.dumps(document).encode(), operation)


@given(st.binary(max_size=300))
def test_any_bytes_whatever_are_a_message_or_malformed(body: bytes) -> None:
    """Any bytes never raise anything but the catalogue's errors."""
    check(body)


def _mutated(value: Any, dice: random.Random) -> Any:
    """The value with keys dropped, respelt and repeated, and values retyped, at random."""
    if dice.random() < 0.08:
        return dice.choice(
            [
                None,
                "",
                " ",
                0,
                -1,
                1.5,
                10**400,
                True,
                [],
                [value],
                {},
                {"x": value},
                "\ud800",
                "x" * 1000,
                OTHER_ID,
                value,
            ]
        )
    if isinstance(value, dict):
        mutated = {}
        for key, item in value.items():
            if dice.random() < 0.08:
                continue
            name = dice.choice([key, key, key, key, key.upper(), f" {key}", key.swapcase(), dice.choice(list(value))])
            mutated[name] = _mutated(item, dice)
        return mutated
    if isinstance(value, list):
        return [_mutated(item, dice) for item in value]
    if isinstance(value, str) and value and dice.random() < 0.1:
        at = dice.randrange(len(value))
        return value[:at] + dice.choice(["", "_", " ", "\u00a0", "É", "\udfff", "\x00"]) + value[at + 1 :]
    return value


def _written(value: Any, dice: random.Random) -> str:
    """JSON with a key repeated, a number too long or NaN here and there."""
    text = json.dumps(value)
    if dice.random() < 0.1:
        text = text.replace('"callRequestId"', f'"callRequestId": "{OTHER_ID}", "callRequestId"', 1)
    if dice.random() < 0.1:
        text = text.replace('"', '"outcomeSummary": NaN, "', 1)
    if dice.random() < 0.1:
        text = text.replace("null", "1" * 5000).replace("true", dice.choice(["true", "1e999", "-0", "tru"]), 1)
    return text


@pytest.mark.parametrize("recorded", [pytest.param(each, id=each.name) for each in RECORDED if each.text is None])
@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_recorded_replies_mutated_at_random_are_messages_or_malformed(recorded: Any, dice: random.Random) -> None:
    """A recorded payload with anything dropped, respelt, retyped or repeated never does worse than fail cleanly."""
    body = json.loads(json.dumps(recorded.body).replace(recorded.call_request_id, RESULT_ID))
    check(_written(_mutated(body, dice), dice).encode(), recorded.operation)


@given(
    st.sampled_from([name for name, _ in ID.names]),
    st.sampled_from([str, str.upper, str.lower, "{} ".format]),
    st.booleans(),
    documents,
)
def test_another_id_is_never_handed_on(key: str, spell: Any, nested: bool, rest: Any) -> None:
    """Whatever else a reply holds: an id that is not the one asked for, under any key, makes it malformed."""
    reply: dict[str, Any] = {"success": True, "callRequestStatus": "COMPLETED", "callRequestId": RESULT_ID, "x": rest}
    where = reply.setdefault("result", {"callType": "BOOKING_VERIFICATION"}) if nested else reply
    where.pop(key, None)
    where[spell(key)] = OTHER_ID
    for operation in ("result", "cancel"):
        observations = Observations()
        document = parse(
            json.dumps(reply, allow_nan=True).replace("NaN", "0").replace("Infinity", "0").encode(), KNOWN_KEYS
        )
        read = read_result if operation == "result" else read_cancellation
        with pytest.raises(GatewayError) as caught:
            read(document, RESULT_ID, observations)
        assert caught.value.reason == reasons.ERROR_REASON_VENDOR_MALFORMED_RESPONSE
