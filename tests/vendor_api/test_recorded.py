"""The vendor's quirks, one recorded payload or more for each, through a real socket on either side."""

import json
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from prometheus_client.parser import text_string_to_metric_families

from callrequest.v1.call_request_service_pb2 import CancelCallRequestRequest, GetCallRequestResultRequest
from server.vendor_api.quirks import Quirk
from testkit.failure import failure
from testkit.gateway import connected, metrics_of, started
from testkit.scripted_vendor import ScriptedVendor, send

FOLDER = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Recorded:
    """A reply of the vendor, the message or ErrorReason that it must become, and all the quirks that it has."""

    name: str
    summary: str
    quirks: list[str]
    operation: str
    call_request_id: str
    http_status: int
    body: Any = None
    text: str | None = None
    expected: dict[str, Any] | None = None
    error: str | None = None

    @property
    def content(self) -> str:
        return json.dumps(self.body) if self.text is None else self.text


RECORDED = [Recorded(path.stem, **json.loads(path.read_text())) for path in sorted(FOLDER.glob("*.json"))]


@pytest.mark.parametrize("recorded", [pytest.param(recorded, id=recorded.name) for recorded in RECORDED])
async def test_a_recorded_reply_becomes_its_message(vendor: ScriptedVendor, recorded: Recorded) -> None:
    """Each recorded reply becomes exactly the expected message or error, and exactly its quirks are counted."""
    documented = {"success": True, "callRequestId": recorded.call_request_id, "callRequestStatus": "PENDING_TO_CALL"}
    vendor.answer("result", send(documented))  # for the readings of a cancel: it has no quirk
    vendor.answer(recorded.operation, send(recorded.content, recorded.http_status))
    async with started(vendor.url) as gateway, connected(gateway) as client:
        asked = recorded.call_request_id
        call: Awaitable[Message] = (
            client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id=asked))
            if recorded.operation == "result"
            else client.CancelCallRequest(CancelCallRequestRequest(call_request_id=asked))
        )
        if recorded.error is not None:
            assert (await failure(call)).reason == recorded.error
        else:
            (answer,) = MessageToDict(await call).values()
            assert answer.pop("observedAt", "").startswith("20") == (recorded.operation == "result")
            assert answer == recorded.expected
        exposition = await metrics_of(gateway)
    counted = _counted(exposition, "vendor_quirks_total", "quirk")
    unrecognized = _counted(exposition, "vendor_unrecognized_values_total", "field")
    assert counted == set(recorded.quirks)
    if recorded.operation == "result" and recorded.expected is not None:
        assert unrecognized == {each["field"] for each in recorded.expected.get("unrecognizedValues", [])}


def _counted(exposition: str, name: str, label: str) -> set[str]:
    lines = "".join(line for line in exposition.splitlines(keepends=True) if line.startswith(name + "{"))
    samples = [sample for family in text_string_to_metric_families(lines) for sample in family.samples]
    return {sample.labels[label] for sample in samples if sample.value}


def test_every_quirk_has_a_recorded_reply() -> None:
    """A quirk is a number, its rows and a recorded payload named after it: all three or none."""
    named = {recorded.name.partition("-")[0] for recorded in RECORDED} - {"page"}
    assert named == {quirk.value for quirk in Quirk}
    for quirk in Quirk:
        noted = [recorded.name for recorded in RECORDED if quirk.value in recorded.quirks]
        assert any(name.startswith(quirk.value) for name in noted), f"no payload of {quirk} asserts that it is counted"
