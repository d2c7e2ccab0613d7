"""Batches, through a real server in front of a scripted vendor."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2 as codes

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1.call_request_service_pb2 import (
    BatchGetCallRequestResultsRequest,
    BatchItem,
    GetCallRequestResultRequest,
)
from callrequest.v1.error_reason_pb2 import ErrorReason
from server.validation import MAX_BATCH
from testkit.failure import failure
from testkit.gateway import connected, metrics_of, started
from testkit.scripted_vendor import (
    RESULT_ID,
    Answer,
    ScriptedVendor,
    failed,
    never,
    pending,
    send,
    with_status,
)

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

OTHER_ID = "bcpFuj1ipoBKLz5G"


def ids(number: int, prefix: str = "batch") -> list[str]:
    """So many ids."""
    return [f"{prefix}{each:0{16 - len(prefix)}d}" for each in range(number)]


def batch(call_request_ids: list[str], **fields: Any) -> BatchGetCallRequestResultsRequest:
    return BatchGetCallRequestResultsRequest(call_request_ids=call_request_ids, **fields)


def by_id(vendor: ScriptedVendor, special: dict[str, Answer]) -> Answer:
    """Answers each read with a result of the id asked for, but for some that have an answer of their own."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        call_request_id = vendor.asked_on(writer).path.split("/")[-2]
        await special.get(call_request_id, send(pending(call_request_id)))(writer)

    return answer


def reason_of(item: BatchItem) -> str:
    """The reason of an item's error, empty for a result."""
    return ErrorReason.Name(item.error.reason).removeprefix("ERROR_REASON_") if item.HasField("error") else ""


@pytest.mark.parametrize("number", [1, 2, MAX_BATCH])
async def test_each_id_has_its_result_in_the_order_of_the_ids(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, number: int
) -> None:
    """From one id to the most; the vendor is asked once for each."""
    vendor.answer("result", by_id(vendor, {}))
    asked = ids(number)[::-1]
    response = await client.BatchGetCallRequestResults(batch(asked))
    assert [item.call_request_id for item in response.items] == asked
    assert [item.call_request_result.call_request_id for item in response.items] == asked
    assert {item.call_request_result.status for item in response.items} == {pb.CALL_REQUEST_STATUS_PENDING_TO_CALL}
    assert len(vendor.requests("result")) == number


async def test_an_item_is_what_get_answers(vendor: ScriptedVendor) -> None:
    """Long results too, whose length takes several bytes on the wire; read or already known."""
    words = {"outcomeSummary": "ä" * 70, "outcomeDetails": "€" * 9000, "callStatus": "SUCCESS"}
    vendor.answer("result", send(with_status("COMPLETED") | {"result": words}))
    async with started(vendor.url, final_max_age=60.0) as gateway, connected(gateway) as client:
        for _ in range(2):
            response = await client.BatchGetCallRequestResults(batch([RESULT_ID]))
            got = await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=RESULT_ID))
            assert response.items[0].call_request_result == got.call_request_result
            assert (
                response.items[0].SerializeToString()
                == BatchItem(call_request_id=RESULT_ID, call_request_result=got.call_request_result).SerializeToString()
            )
        assert len(vendor.requests("result")) == 1


async def test_an_id_that_occurs_twice_is_read_once(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """Each occurrence has its item, an error's too."""
    vendor.answer("result", by_id(vendor, {OTHER_ID: send(failed("NOT_FOUND"))}))
    asked = [RESULT_ID, OTHER_ID, RESULT_ID, "bad", OTHER_ID, "bad"]
    response = await client.BatchGetCallRequestResults(batch(asked))
    assert [item.call_request_id for item in response.items] == asked
    assert [reason_of(item) for item in response.items] == [
        "",
        "CALL_REQUEST_NOT_FOUND",
        "",
        "INVALID_REQUEST",
        "CALL_REQUEST_NOT_FOUND",
        "INVALID_REQUEST",
    ]
    assert len(vendor.requests("result")) == 2


async def test_each_id_has_an_error_of_its_own(client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor) -> None:
    """One failure is what Get would fail with, and harms no other item."""
    answers = {
        "missing000000000": (send(failed("NOT_FOUND")), codes.NOT_FOUND, "CALL_REQUEST_NOT_FOUND"),
        "rejected00000000": (send(failed("BAD_REQUEST")), codes.INVALID_ARGUMENT, "VENDOR_REJECTED_REQUEST"),
        "html000000000000": (send("<html>"), codes.INTERNAL, "VENDOR_MALFORMED_RESPONSE"),
        "unknown000000000": (send(failed("QUOTA")), codes.UNKNOWN, "VENDOR_ERROR"),
    }
    vendor.answer("result", by_id(vendor, {name: answer for name, (answer, _, _) in answers.items()}))
    response = await client.BatchGetCallRequestResults(batch([RESULT_ID, *answers, OTHER_ID]))
    assert [reason_of(item) for item in response.items] == ["", *(reason for _, _, reason in answers.values()), ""]
    for item, (_, code, _) in zip(response.items[1:-1], answers.values(), strict=True):
        assert item.error.code == code
        single = await failure(
            client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=item.call_request_id))
        )
        assert (item.error.message, reason_of(item)) == (single.text, single.reason)


async def test_an_id_that_is_not_valid_is_an_error_of_its_item(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """The vendor sees nothing of it, and the others are read."""
    vendor.answer("result", by_id(vendor, {}))
    bad = ["", "../etc/passwd", "77b2c4d5e6f7g890\n", "äääääääääääääääa", "x" * 1000]
    response = await client.BatchGetCallRequestResults(batch([*bad, RESULT_ID]))
    assert [item.call_request_id for item in response.items] == [*bad, RESULT_ID]
    assert [reason_of(item) for item in response.items] == ["INVALID_REQUEST"] * len(bad) + [""]
    assert {item.error.code for item in response.items[:-1]} == {codes.INVALID_ARGUMENT}
    assert len(vendor.requests("result")) == 1


WRONG = {
    "no-ids": (batch([]), "call_request_ids"),
    "101-ids": (batch(ids(MAX_BATCH + 1)), "call_request_ids"),
    "101-times-one-id": (batch([RESULT_ID] * (MAX_BATCH + 1)), "call_request_ids"),
    "negative-max_age": (batch([RESULT_ID], max_age=Duration(seconds=-1)), "max_age"),
    "max_age-beyond-all-durations": (batch([RESULT_ID], max_age=Duration(seconds=2**62)), "max_age"),
}


@pytest.mark.parametrize(("request_", "field"), [pytest.param(*case, id=name) for name, case in WRONG.items()])
async def test_a_wrong_batch_fails_as_a_whole(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor, request_: Any, field: str
) -> None:
    """The number of ids and max_age are the request's own; the vendor is not asked."""
    got = await failure(client.BatchGetCallRequestResults(request_))
    assert (got.code, got.reason, got.fields) == ("INVALID_ARGUMENT", "INVALID_REQUEST", [field])
    assert not vendor.requests("result")


async def test_ids_that_hang_are_errors_and_all_others_are_answered(vendor: ScriptedVendor) -> None:
    """40 of 80: their items are DEADLINE_EXCEEDED, and the response is there before the deadline."""
    asked = ids(80)
    hanging = set(asked[::2])
    vendor.answer("result", by_id(vendor, dict.fromkeys(hanging, never())))
    async with started(vendor.url) as gateway, connected(gateway) as client:
        response = await client.BatchGetCallRequestResults(batch(asked), timeout=4)
    assert {item.call_request_id for item in response.items if reason_of(item) == "DEADLINE_EXCEEDED"} == hanging
    assert sum(item.HasField("call_request_result") for item in response.items) == 40
    assert {item.error.code for item in response.items if item.HasField("error")} == {codes.DEADLINE_EXCEEDED}


async def test_ids_without_a_place_are_overloaded_and_all_others_are_answered(vendor: ScriptedVendor) -> None:
    """Each id that must be read takes a place of MAX_READS; what is known takes none; the whole never fails."""
    vendor.answer("result", by_id(vendor, {}))
    async with (
        started(vendor.url, max_reads=5, default_max_age=60.0, final_max_age=60.0) as gateway,
        connected(gateway) as client,
    ):
        known = ids(3, "known")
        await client.BatchGetCallRequestResults(batch(known))
        response = await client.BatchGetCallRequestResults(batch([*known, *ids(8)]))
        assert [reason_of(item) for item in response.items] == [""] * 8 + ["OVERLOADED"] * 3
        assert {item.error.code for item in response.items[8:]} == {codes.UNAVAILABLE}
        exposition = await metrics_of(gateway)
        assert 'batch_items_failed_total{reason="OVERLOADED"} 3.0' in exposition
        assert "batch_items_total 14.0" in exposition
        assert 'calls_in_flight{kind="read"} 0.0' in exposition


async def test_max_age_holds_for_each_item(vendor: ScriptedVendor) -> None:
    """Unset: what is known is answered; 0: every id is read anew."""
    vendor.answer("result", by_id(vendor, {}))
    async with (
        started(vendor.url, default_max_age=60.0, final_max_age=60.0) as gateway,
        connected(gateway) as client,
    ):
        for max_age, reads in (None, 3), (None, 3), (Duration(), 6), (Duration(seconds=30), 6):
            await client.BatchGetCallRequestResults(batch(ids(3), max_age=max_age))
            assert len(vendor.requests("result")) == reads


async def test_a_batch_that_its_caller_gives_up_ends_its_reads(
    client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """Nobody waits for them any more."""
    vendor.answer("result", never())
    call = client.BatchGetCallRequestResults(batch(ids(5)))
    waiting = asyncio.ensure_future(call)
    await vendor.until(lambda: len(vendor.requests("result")) == 5)
    waiting.cancel()
    await vendor.until(lambda: vendor.left == 5)
