"""The status of a call request follows the sandbox's clock."""

import time

from tests.sandbox.caller import Caller


async def test_a_call_request_lives_on_the_clock(caller: Caller) -> None:
    """Pending until the hotel is phoned, in progress while that takes, then completed with its outcome."""
    outcome = {"callType": "BOOKING_VERIFICATION", "callStatus": "SUCCESS"}
    made = await caller.make(call_in=3 * 86400, call_takes=120, outcome=outcome)
    assert (await caller.result(made)).json["callRequetStatus"] == "PENDING_TO_CALL"
    await caller.control("POST", "clock", {"advance": 3 * 86400 + 1})
    await caller.renew()  # the old token has expired meanwhile
    in_progress = (await caller.result(made)).json
    assert in_progress == {"success": True, "callRequestId": made, "callRequetStatus": "IN_PROGRESS"}
    assert "in progress" in (await caller.cancel(made)).json["error"]["message"]
    await caller.control("POST", "clock", {"advance": 120})
    completed = (await caller.result(made)).json
    assert completed["callRequetStatus"] == "COMPLETED"
    assert completed["result"].pop("dialTime") > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert completed["result"] == {**outcome, "actionRequired": {"action": "", "email": "", "fax": ""}}
    assert "completed" in (await caller.cancel(made)).json["error"]["message"]


async def test_a_cancelled_call_request_is_never_phoned(caller: Caller) -> None:
    """CANCELLED is final, whatever the time is."""
    made = await caller.make(call_in=60)
    assert (await caller.cancel(made)).json["success"] is True
    await caller.control("POST", "clock", {"advance": 3600})
    assert await caller.status(made) == "CANCELLED"


async def test_a_check_in_passes_on_the_clock(caller: Caller) -> None:
    """Once it has, a pending call request cannot be cancelled."""
    made = await caller.make(call_in=7200, check_in_in=3600)
    await caller.control("POST", "clock", {"advance": 3600})
    assert "check in is in the past" in (await caller.cancel(made)).json["error"]["message"]


async def test_the_known_life_begins_anew_with_a_reset(caller: Caller) -> None:
    """What is planned for ten minutes on is completed after eleven, and pending after a reset."""
    await caller.control("POST", "clock", {"advance": 660})
    assert await caller.status("callInTenMinutes") == "COMPLETED"
    await caller.control("POST", "reset")
    assert await caller.status("callInTenMinutes") == "PENDING_TO_CALL"
