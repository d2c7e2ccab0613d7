"""Coalescing: one read for all who wait for an id, and each of them keeps its own deadline."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from callrequest.v1 import call_request_pb2 as pb
from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from server.deadline import Deadline, now
from server.errors import GatewayError
from server.reading.coalescing import Coalescer
from server.reading.result_cache import MaxAge, Reading
from testkit.gateway import connected, metrics_of, started
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, hang_up, later, pending, send, with_status
from testkit.virtual_time import run
from testkit.virtual_vendor import VirtualVendor, bare, good, outcome_of, reading_from

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
CANCEL = CancelCallRequestRequest(call_request_id=RESULT_ID)


async def test_all_who_wait_for_an_id_share_one_read(vendor: ScriptedVendor) -> None:
    """Fifty callers at once: one request to the vendor, fifty answers."""
    vendor.answer("result", later(0.3, send(pending())))
    async with started(vendor.url, default_max_age=0.3) as gateway, connected(gateway) as client:
        await asyncio.gather(*(client.GetCallRequestResult(GET) for _ in range(50)))
        scraped = await metrics_of(gateway)
    assert len(vendor.requests("result")) == 1
    assert 'result_reads_total{source="vendor"} 1.0' in scraped
    assert 'result_reads_total{source="coalesced"} 49.0' in scraped


def test_a_failure_is_shared_with_those_who_wait_and_not_kept() -> None:
    """Those who wait get the failure; who comes later asks anew."""

    async def shared() -> None:
        vendor = VirtualVendor(lambda _: bare(403), seconds=0.2)
        async with reading_from(vendor) as results:
            outcomes = await asyncio.gather(*(outcome_of(results, RESULT_ID) for _ in range(10)))
            assert set(outcomes) == {"VENDOR_REJECTED_CREDENTIALS"}
            vendor.rule = good
            assert await outcome_of(results, RESULT_ID) == "PENDING_TO_CALL"
        assert vendor.asked(RESULT_ID) == 2

    run(shared())


def test_each_reader_keeps_its_own_deadline_and_may_leave() -> None:
    """The first reader runs out of time, the second leaves: the third gets the answer of their read."""

    async def three() -> None:
        vendor = VirtualVendor(seconds=0.8)
        async with reading_from(vendor) as results:
            hasty = asyncio.create_task(outcome_of(results, RESULT_ID, seconds=0.3))
            await asyncio.sleep(0.1)
            leaving = asyncio.create_task(outcome_of(results, RESULT_ID))
            patient = asyncio.create_task(outcome_of(results, RESULT_ID, seconds=5))
            await asyncio.sleep(0.1)
            leaving.cancel()
            assert await hasty == "DEADLINE_EXCEEDED"
            assert await patient == "PENDING_TO_CALL"
        assert (vendor.asked(RESULT_ID), vendor.left) == (1, 0)

    run(three())


def test_a_read_has_as_much_time_as_the_most_patient_of_its_readers() -> None:
    """It is tried again for a patient reader that joined late, when the first one's time is over."""

    async def retried() -> None:
        vendor = VirtualVendor(lambda _: bare(429, 2))
        async with reading_from(vendor) as results:
            hasty = asyncio.create_task(outcome_of(results, RESULT_ID, seconds=0.5))
            patient = asyncio.create_task(outcome_of(results, RESULT_ID, seconds=10))
            await asyncio.sleep(0.2)
            vendor.rule = good
            assert await hasty == "DEADLINE_EXCEEDED"
            assert await patient == "PENDING_TO_CALL"
        assert vendor.asked(RESULT_ID) == 2

    run(retried())


def test_when_the_last_reader_has_left_the_read_ends() -> None:
    """Nobody waits: the vendor's call is ended, and the next reader begins a new one."""

    async def left() -> None:
        vendor = VirtualVendor(lambda _: None)
        async with reading_from(vendor) as results:
            readers = [asyncio.create_task(outcome_of(results, RESULT_ID)) for _ in range(3)]
            await asyncio.sleep(0.1)
            for reader in readers:
                assert vendor.left == 0
                reader.cancel()
            await asyncio.sleep(0.01)
            assert vendor.left == 1
            vendor.rule = good
            assert await outcome_of(results, RESULT_ID) == "PENDING_TO_CALL"
        assert vendor.asked(RESULT_ID) == 2

    run(left())


def test_a_fresh_read_joins_no_older_one() -> None:
    """max_age 0: the vendor is asked after the call came, and an older read does not replace the fresher answer."""

    async def fresh() -> None:
        vendor = VirtualVendor(seconds=0.4)
        async with reading_from(vendor) as results:
            older = asyncio.create_task(outcome_of(results, RESULT_ID))
            await asyncio.sleep(0.1)
            vendor.rule, vendor.seconds = (lambda asked: good(asked, "IN_PROGRESS")), 0.1
            assert await outcome_of(results, RESULT_ID, max_age=0) == "IN_PROGRESS"
            assert await older == "PENDING_TO_CALL"
            assert await outcome_of(results, RESULT_ID, max_age=60) == "IN_PROGRESS"
        assert vendor.asked(RESULT_ID) == 2

    run(fresh())


def test_who_comes_during_a_fresh_read_joins_it() -> None:
    """Only those who want what is true from now on begin one of their own."""

    async def joined() -> None:
        vendor = VirtualVendor(seconds=0.4)
        async with reading_from(vendor) as results:
            reads = [asyncio.create_task(outcome_of(results, RESULT_ID, max_age=0)) for _ in range(2)]
            await asyncio.sleep(0.1)
            reads += [asyncio.create_task(outcome_of(results, RESULT_ID)) for _ in range(5)]
            assert set(await asyncio.gather(*reads)) == {"PENDING_TO_CALL"}
        assert vendor.asked(RESULT_ID) == 2

    run(joined())


@pytest.mark.parametrize("default_max_age", [0.0, 1.0])
def test_without_a_default_age_each_reader_has_a_read_of_its_own(default_max_age: float) -> None:
    """DEFAULT_MAX_AGE 0 is max_age 0 for every caller that sets none."""

    async def own() -> int:
        vendor = VirtualVendor()
        async with reading_from(vendor, default_max_age=default_max_age) as results:
            await asyncio.gather(*(outcome_of(results, RESULT_ID) for _ in range(5)))
        return vendor.asked(RESULT_ID)

    assert run(own()) == (1 if default_max_age else 5)


def test_a_defect_reaches_all_who_wait() -> None:
    """Whatever a read raises, nobody waits for ever; and it is no failure that could be cached."""

    async def broken() -> None:
        failures: list[str] = []

        async def read(call_request_id: str, max_age: MaxAge, deadline: Deadline) -> Reading:
            await asyncio.sleep(0.1)
            raise ZeroDivisionError

        coalescer = Coalescer(read, lambda *_: None, lambda *_: failures.append("cached"))
        readers = [
            asyncio.create_task(coalescer.get(RESULT_ID, MaxAge(1, 1), Deadline(now() + 9), fresh=False))
            for _ in range(3)
        ]
        got = await asyncio.gather(*readers, return_exceptions=True)
        assert [type(each) for each in got] == [ZeroDivisionError] * 3
        assert failures == []

    run(broken())


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "lost"])
async def test_after_a_cancel_nothing_older_is_given(vendor: ScriptedVendor, lost: bool) -> None:
    """A cancel drops what is cached and what is being read, however it was settled."""
    async with started(vendor.url, default_max_age=0.3, final_max_age=3600.0) as gateway, connected(gateway) as client:
        await client.GetCallRequestResult(GET)
        vendor.answer("result", later(0.4, send(pending())), send(with_status("CANCELLED")))
        slow = asyncio.ensure_future(_read(client, 0))
        await vendor.until(lambda: len(vendor.requests("result")) == 2)
        if lost:
            vendor.answer("cancel", hang_up())
        await client.CancelCallRequest(CANCEL)
        assert await _read(client, 60) == pb.CALL_REQUEST_STATUS_CANCELLED
        await slow
        assert await _read(client, 60) == pb.CALL_REQUEST_STATUS_CANCELLED, "a read from before the cancel was kept"


async def _read(client: "CallRequestServiceAsyncStub", max_age: float) -> pb.CallRequestStatus.ValueType:
    request = GetCallRequestResultRequest(call_request_id=RESULT_ID)
    request.max_age.FromNanoseconds(int(max_age * 1e9))
    return (await client.GetCallRequestResult(request)).call_request_result.status


@pytest.mark.parametrize("failure", [None, GatewayError(reasons.ERROR_REASON_VENDOR_FAILED)], ids=["answer", "failure"])
def test_a_defect_where_a_reading_is_stored_keeps_nobody_waiting(failure: GatewayError | None) -> None:
    """Whoever waits has its answer, or its failure, all the same."""

    async def reading() -> str:
        async def read(call_request_id: str, max_age: MaxAge, deadline: Deadline) -> Reading:
            await asyncio.sleep(1)
            if failure is not None:
                raise failure
            return Reading(b"", final=False, read_at=now())

        def defect(*_: object) -> None:
            raise KeyError

        coalescer = Coalescer(read, defect, defect)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        try:
            await coalescer.get(RESULT_ID, MaxAge(1, 1), Deadline.after(10), fresh=False)
        except GatewayError as error:
            return error.reason_name
        return "answered"

    assert run(reading()) == ("answered" if failure is None else "VENDOR_FAILED")
