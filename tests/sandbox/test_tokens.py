"""Tokens: who gets one, and how long it is valid."""

import aiohttp
import pytest

from sandbox import Sandbox
from tests.sandbox.caller import PENDING, Caller


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_token_is_given_for_the_credentials(caller: Caller, method: str) -> None:
    """By either method; it is a Bearer token for as long as the vendor documents."""
    answer = (await caller.ask_for_token(method)).json
    caller.token = answer.pop("access_token")
    assert answer == {"expires_in": 84400, "token_type": "Bearer"}
    assert (await caller.result(PENDING)).status == 200


@pytest.mark.parametrize("wrong", ["client_id", "client_secret"])
async def test_wrong_credentials_are_refused(caller: Caller, wrong: str) -> None:
    """401 with the vendor's error body, which does not repeat what was sent."""
    reply = await caller.ask_for_token(**{wrong: "naïve"})
    assert (reply.status, reply.json["success"], reply.json["error"]["code"]) == (401, False, "UNAUTHORIZED")
    assert "na" not in reply.json["error"]["message"]


async def test_another_grant_is_a_bad_request(caller: Caller) -> None:
    """Only client_credentials is known, as in RFC 6749: status 400."""
    reply = await caller.ask_for_token(grant_type="password")
    assert (reply.status, reply.json["error"]["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Bearer nobody-issued-this", "Basic c2FuZGJveDo="])
async def test_calls_without_a_valid_token_are_refused(caller: Caller, value: str) -> None:
    """401 with the vendor's error body, for both operations, and nothing is carried out."""
    for method, path in (("GET", f"{PENDING}/result"), ("POST", "cancel")):
        reply = await caller.send(
            method, f"/api/v1/call-request/{path}", headers={"Authorization": value}, json={"callRequestId": PENDING}
        )
        assert (reply.status, reply.json["error"]["code"]) == (401, "UNAUTHORIZED")
    assert await caller.status(PENDING) == "PENDING_TO_CALL"


async def test_several_tokens_are_valid_until_each_expires(caller: Caller) -> None:
    """A new token does not end the old one; its time on the clock does."""
    old = caller.token
    await caller.control("POST", "clock", {"advance": 50_000})
    await caller.renew()
    new, caller.token = caller.token, old
    assert (await caller.result(PENDING)).status == 200
    await caller.control("POST", "clock", {"advance": 50_000})
    assert (await caller.result(PENDING)).status == 401
    caller.token = new
    assert (await caller.result(PENDING)).status == 200


async def test_all_tokens_can_be_revoked(caller: Caller) -> None:
    """Whatever was issued is refused, until a new one is asked for."""
    assert (await caller.control("POST", "tokens/revoke")).json == {"revoked": 1}
    assert (await caller.result(PENDING)).status == 401
    await caller.renew()
    assert (await caller.result(PENDING)).status == 200


async def test_credentials_and_lifetime_are_settings() -> None:
    """They are what the sandbox was made with; a lifetime may be a part of a second."""
    async with (
        Sandbox(client_id="me", client_secret="mine", token_lifetime=0.5) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        caller = Caller(session, sandbox.url)
        assert (await caller.ask_for_token()).status == 401
        reply = await caller.ask_for_token(client_id="me", client_secret="mine")
        assert reply.json["expires_in"] == 0.5
