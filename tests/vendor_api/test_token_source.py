"""When a token is fetched, and who waits for it; on virtual time."""

import asyncio
import itertools

import pytest

from callrequest.v1 import error_reason_pb2 as reasons
from server.deadline import Deadline, now
from server.errors import MAX_WAIT, GatewayError, Reason
from server.vendor_api.document import parse
from server.vendor_api.mapping import KNOWN_KEYS
from server.vendor_api.refusals import MAX_IDS, MAX_PAUSE, MIN_AGE, Refusals
from server.vendor_api.token import DEFAULT_LIFETIME, MAX_LIFETIME, MIN_LIFETIME, Token, token_from
from server.vendor_api.token_source import FAILED_PAUSE, MAX_RETRY_AFTER, REJECTED_PAUSE, RENEWAL_PAUSE, TokenSource
from testkit import virtual_time

REJECTED, UNAVAILABLE = reasons.ERROR_REASON_VENDOR_REJECTED_CREDENTIALS, reasons.ERROR_REASON_VENDOR_UNAVAILABLE
DAY = 86_400.0


class _Endpoint:
    """Sends a token a time, or fails with `failing`, after `seconds`; fetched_at: when it was asked."""

    def __init__(self, lifetime: float = DAY) -> None:
        self.lifetime = lifetime
        self.seconds = 0.1
        self.failing: Reason | None = None
        self.retry_after: float | None = None
        self.fetched_at: list[float] = []
        self.source = TokenSource(self._fetch)

    async def _fetch(self) -> Token:
        asked_at = now()
        self.fetched_at.append(asked_at)
        await asyncio.sleep(self.seconds)
        if self.failing is not None:
            raise GatewayError(self.failing, retry_after=self.retry_after)
        return Token(f"token-{len(self.fetched_at)}", self.lifetime, asked_at)

    async def get(self, seconds: float = 10) -> str | Reason:
        """A token, or the reason of the failure."""
        try:
            return await self.source.get(Deadline.after(seconds))
        except GatewayError as error:
            return error.reason

    async def poll(self, seconds: float, interval: float = 0.01) -> list[str | Reason]:
        """Gets a token each interval; the answers."""
        until, answers = now() + seconds, []
        while now() < until:
            answers.append(await self.get())
            await asyncio.sleep(interval)
        return answers


@pytest.mark.parametrize(("failing", "most"), [(REJECTED, 10), (UNAVAILABLE, 14)], ids=["rejected", "failed"])
def test_failures_back_off(failing: Reason, most: int) -> None:
    """A hundred calls a second for 30 s cost the endpoint a few requests, and each gets the last failure."""

    async def test() -> None:
        endpoint = _Endpoint()
        endpoint.failing = failing
        assert set(await endpoint.poll(30)) == {failing}
        assert 2 <= len(endpoint.fetched_at) <= most

    for _ in range(5):  # the pauses are random
        virtual_time.run(test())


@pytest.mark.parametrize(
    ("failing", "bounds"), [(REJECTED, REJECTED_PAUSE), (UNAVAILABLE, FAILED_PAUSE)], ids=["rejected", "failed"]
)
def test_pauses_grow_within_their_bounds(failing: Reason, bounds: tuple[float, float]) -> None:
    """Random between the shortest and a longest that doubles: no two processes keep step."""

    async def test() -> None:
        endpoint = _Endpoint()
        endpoint.failing, endpoint.seconds = failing, 0
        await endpoint.poll(1000, 0.05)
        pauses = [later - earlier for earlier, later in zip(endpoint.fetched_at, endpoint.fetched_at[1:], strict=False)]
        assert min(pauses) >= bounds[0]
        assert max(pauses) <= bounds[1] + 0.06
        assert pauses[0] <= 2 * bounds[0] + 0.06
        assert max(pauses) > bounds[1] / 2
        assert len({round(pause, 2) for pause in pauses}) > len(pauses) / 2

    virtual_time.run(test())


def test_who_comes_between_two_fetches_gets_the_failure_at_once() -> None:
    """Nobody waits for a pause to end."""

    async def test() -> None:
        endpoint = _Endpoint()
        endpoint.failing = REJECTED
        assert await endpoint.get() == REJECTED
        begun = now()
        assert [await endpoint.get() for _ in range(100)] == [REJECTED] * 100
        assert now() == begun
        assert len(endpoint.fetched_at) == 1

    virtual_time.run(test())


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        pytest.param(40.0, 40.0, id="obeyed"),
        pytest.param(MAX_WAIT, MAX_RETRY_AFTER, id="at most so long"),
        pytest.param(-5.0, FAILED_PAUSE[0], id="in the past"),
    ],
)
def test_a_retry_after_of_the_endpoint_is_obeyed(retry_after: float, pause: float) -> None:
    """No sooner fetch; who comes meanwhile gets the failure at once, with what is left of the Retry-After."""

    async def test() -> None:
        endpoint = _Endpoint()
        endpoint.failing, endpoint.retry_after, endpoint.seconds = UNAVAILABLE, retry_after, 0
        await endpoint.get()
        await asyncio.sleep(pause / 2)
        with pytest.raises(GatewayError) as raised:
            await endpoint.source.get(Deadline.after(5))
        if pause > 1:
            assert raised.value.wait_is_known
            assert raised.value.retry_after == pytest.approx(pause / 2, abs=0.1)
        await endpoint.poll(pause / 2 + 1.1)
        first, second = endpoint.fetched_at[:2]
        assert pause <= second - first <= pause + 1.1

    virtual_time.run(test())


def test_one_fetch_serves_all_who_wait() -> None:
    """A token and a failure alike."""

    async def test() -> None:
        for failing, expected in ((None, "token-1"), (UNAVAILABLE, UNAVAILABLE)):
            endpoint = _Endpoint()
            endpoint.failing = failing
            assert set(await asyncio.gather(*(endpoint.get() for _ in range(500)))) == {expected}
            assert len(endpoint.fetched_at) == 1

    virtual_time.run(test())


def test_after_a_success_failures_count_from_one() -> None:
    """The next pause is a short one again."""

    async def test() -> None:
        endpoint = _Endpoint(lifetime=300)
        endpoint.failing = UNAVAILABLE
        await endpoint.poll(200)
        endpoint.failing = None
        await endpoint.poll(31)
        assert await endpoint.get() == f"token-{len(endpoint.fetched_at)}"
        endpoint.failing, endpoint.fetched_at = UNAVAILABLE, []
        await asyncio.sleep(300)
        await endpoint.poll(3)
        assert endpoint.fetched_at[1] - endpoint.fetched_at[0] <= 2 * FAILED_PAUSE[0] + 0.2

    virtual_time.run(test())


def test_a_token_is_renewed_before_it_ends_while_the_old_one_serves() -> None:
    """In the last tenth of its life it still serves while another is fetched: no caller waits before its end."""

    async def test() -> None:
        endpoint = _Endpoint(lifetime=1000)
        assert await endpoint.get() == "token-1"
        endpoint.seconds = DAY
        assert set(await endpoint.poll(899, 1)) == {"token-1"}
        assert len(endpoint.fetched_at) == 1
        await asyncio.sleep(1)
        begun = now()
        assert [await endpoint.get() for _ in range(9)] == ["token-1"] * 9
        assert now() == begun
        assert set(await endpoint.poll(98, 1)) == {"token-1"}
        assert len(endpoint.fetched_at) == 2
        await asyncio.sleep(2)
        assert await endpoint.get(1) == reasons.ERROR_REASON_DEADLINE_EXCEEDED

    virtual_time.run(test())


def test_a_rejected_renewal_is_not_tried_more_than_once_in_30_seconds() -> None:
    """The old token serves meanwhile, to its end, and nobody sees the failure."""

    async def test() -> None:
        endpoint = _Endpoint(lifetime=1000)
        assert await endpoint.get() == "token-1"
        endpoint.failing = REJECTED
        await asyncio.sleep(900)
        assert set(await endpoint.poll(99, 0.1)) == {"token-1"}
        renewals = endpoint.fetched_at[1:]
        assert len(renewals) == 4
        assert all(later - earlier >= RENEWAL_PAUSE for earlier, later in itertools.pairwise(renewals))

    virtual_time.run(test())


def test_a_failed_renewal_is_tried_again_before_the_token_ends() -> None:
    """A failure that may pass is worth more than one try in the last 30 s of a short lifetime."""

    async def test() -> None:
        endpoint = _Endpoint(lifetime=300)
        assert await endpoint.get() == "token-1"
        endpoint.failing = UNAVAILABLE
        await asyncio.sleep(271)
        assert set(await endpoint.poll(5, 0.1)) == {"token-1"}
        assert len(endpoint.fetched_at) > 2
        endpoint.failing = None
        assert set(await endpoint.poll(20, 0.1)) == {"token-1", f"token-{len(endpoint.fetched_at)}"}

    virtual_time.run(test())


def test_new_credentials_end_a_pause() -> None:
    """The next call fetches, though the old ones were rejected. Who waits for a fetch with these waits for another."""

    async def test() -> None:
        endpoint = _Endpoint()
        endpoint.failing = REJECTED
        await endpoint.poll(60)
        endpoint.failing = None
        endpoint.source.credentials_changed()
        assert await endpoint.get() == f"token-{len(endpoint.fetched_at)}"

        endpoint = _Endpoint()
        endpoint.failing = REJECTED
        waiting = asyncio.ensure_future(endpoint.get())
        await asyncio.sleep(endpoint.seconds / 2)
        endpoint.source.credentials_changed()
        await asyncio.sleep(endpoint.seconds)
        endpoint.failing = None
        assert await waiting == "token-2"

    virtual_time.run(test())


def test_new_credentials_leave_the_current_token_alone() -> None:
    """It serves to its end: nothing is fetched before it must be."""

    async def test() -> None:
        endpoint = _Endpoint()
        assert await endpoint.get() == "token-1"
        endpoint.source.credentials_changed()
        assert set(await endpoint.poll(100)) == {"token-1"}

    virtual_time.run(test())


def test_a_token_that_one_id_is_refused_with_serves_the_others_until_the_next() -> None:
    """Nobody waits for the fetch but who was refused."""

    async def test() -> None:
        endpoint = _Endpoint()
        assert await endpoint.get() == "token-1"
        assert endpoint.source.reject("token-1", "A")
        assert await endpoint.get() == "token-1"
        assert await endpoint.source.replacement(Deadline.after(5)) == "token-2"
        assert await endpoint.get() == "token-2"

    virtual_time.run(test())


def test_a_token_that_two_ids_are_refused_with_serves_nobody() -> None:
    """It is revoked: each call with it would only be refused."""

    async def test() -> None:
        endpoint = _Endpoint()
        assert await endpoint.get() == "token-1"
        for call_request_id in ("A", "B", "C"):
            assert endpoint.source.reject("token-1", call_request_id)
        assert await endpoint.get() == "token-2"
        assert len(endpoint.fetched_at) == 2

    virtual_time.run(test())


def test_a_token_that_is_revoked_soon_after_another_is_replaced_all_the_same() -> None:
    """Two ids in a row that are refused with it, none served between them, are not two that are refused with any."""

    async def test() -> None:
        endpoint = _Endpoint()
        assert await endpoint.get() == "token-1"
        assert endpoint.source.reject("token-1", "A")
        assert await endpoint.source.replacement(Deadline.after(5)) == "token-2"
        await asyncio.sleep(2)
        assert not endpoint.source.reject("token-2", "B")
        assert endpoint.source.reject("token-2", "C")
        assert await endpoint.get() == "token-3"

    virtual_time.run(test())


def test_ids_that_are_refused_while_others_are_served_do_not_drop_a_token() -> None:
    """A few that are refused with any token, each for itself."""

    async def test() -> None:
        endpoint = _Endpoint()
        assert await endpoint.get() == "token-1"
        for call_request_id in ("A", "B", "C"):
            assert endpoint.source.reject("token-1", call_request_id)
            endpoint.source.served = "token-1"
            assert await endpoint.get() == "token-1"
        assert await endpoint.source.replacement(Deadline.after(5)) == "token-2"
        await asyncio.sleep(2)
        for call_request_id in ("A", "B", "C", "D"):
            endpoint.source.served = "token-2"
            assert not endpoint.source.reject("token-2", call_request_id)
        assert len(endpoint.fetched_at) == 2

    virtual_time.run(test())


def test_a_token_that_is_to_be_dropped_serves_nobody() -> None:
    """For a cancel: its second POST must not carry the refused token."""

    async def test() -> None:
        endpoint = _Endpoint()
        assert await endpoint.get() == "token-1"
        assert endpoint.source.reject("token-1", "A", drop=True)
        assert await endpoint.get() == "token-2"

    virtual_time.run(test())


def test_an_id_that_is_refused_with_any_token_costs_few() -> None:
    """Polled twice a second for ten minutes: at most one token a minute in the end, and the others never wait."""

    async def test() -> None:
        endpoint = _Endpoint()
        await endpoint.get()
        begun = now()
        while now() < begun + 600:
            token = await endpoint.source.get(Deadline.after(5))
            if endpoint.source.reject(token, "A"):
                other = asyncio.ensure_future(endpoint.get())
                token = await endpoint.source.replacement(Deadline.after(5))
                assert await other != token
                assert not endpoint.source.reject(token, "A")
            await asyncio.sleep(0.5)
        fetches = endpoint.fetched_at[1:]
        assert len(fetches) <= 5 + 600 / MAX_PAUSE
        assert min(later - earlier for earlier, later in itertools.pairwise(fetches)) >= MIN_AGE

    virtual_time.run(test())


def test_many_ids_that_are_refused_cost_no_more() -> None:
    """All at once, as after a vendor's change of rights: one token, then one in MIN_AGE at most."""

    async def test() -> None:
        endpoint = _Endpoint()
        token = await endpoint.get()
        for _ in range(60):
            token = await endpoint.source.get(Deadline.after(5))
            for number in range(100):
                endpoint.source.reject(str(token), f"{number}")
            await asyncio.sleep(1)
        assert len(endpoint.fetched_at) <= 2 + 60 / MIN_AGE

    virtual_time.run(test())


def test_a_refused_token_without_another_is_kept_for_the_other_ids() -> None:
    """While fetches pause, one id's refusal must not take the token from all."""

    async def test() -> None:
        endpoint = _Endpoint()
        assert await endpoint.get() == "token-1"
        endpoint.failing = REJECTED
        assert endpoint.source.reject("token-1", "A")
        with pytest.raises(GatewayError):
            await endpoint.source.replacement(Deadline.after(5))
        assert not endpoint.source.reject("token-1", "A")
        assert await endpoint.get() == "token-1"
        assert not endpoint.source.reject("token-1", "B")
        assert await endpoint.get() == REJECTED
        assert len(endpoint.fetched_at) == 2

    virtual_time.run(test())


def test_the_refused_ids_that_are_remembered_are_bounded() -> None:
    """The oldest is forgotten."""
    refusals = Refusals()
    assert refusals.justifies_new_token("first", 0, served=False)
    refusals.is_second("first")
    refusals.token_replaced(0)
    for number in range(MAX_IDS + 1):
        assert not refusals.justifies_new_token(f"{number}", 1, served=True)
    assert refusals.justifies_new_token("0", 1 + MIN_AGE, served=True)
    assert not refusals.justifies_new_token(f"{MAX_IDS}", 0.9 + MIN_AGE, served=True)


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        pytest.param("84400", 84400.0, id="whole"),
        pytest.param("8.5e3", 8500.0, id="float"),
        pytest.param("85.25", 85.25, id="fraction"),
        pytest.param('"80"', 80.0, id="text"),
        pytest.param('" 80.0 "', 80.0, id="text-with-blanks"),
        pytest.param("0.001", MIN_LIFETIME, id="short"),
        pytest.param("1e-9", DEFAULT_LIFETIME, id="tiny"),
        pytest.param("84400000", MAX_LIFETIME, id="milliseconds"),
        pytest.param("1e30", MAX_LIFETIME, id="huge"),
        pytest.param("1e999", DEFAULT_LIFETIME, id="beyond-floats"),
        pytest.param("9" * 5000, MAX_LIFETIME, id="of-5000-digits"),
        pytest.param("0", DEFAULT_LIFETIME, id="zero"),
        pytest.param("-1", DEFAULT_LIFETIME, id="negative"),
        pytest.param('"-80"', DEFAULT_LIFETIME, id="negative-text"),
        pytest.param("true", DEFAULT_LIFETIME, id="true"),
        pytest.param("false", DEFAULT_LIFETIME, id="false"),
        pytest.param("null", DEFAULT_LIFETIME, id="null"),
        pytest.param('""', DEFAULT_LIFETIME, id="empty"),
        pytest.param('"NaN"', DEFAULT_LIFETIME, id="nan"),
        pytest.param('"Infinity"', DEFAULT_LIFETIME, id="infinity"),
        pytest.param('"1 hour"', DEFAULT_LIFETIME, id="words"),
        pytest.param('"1_000"', DEFAULT_LIFETIME, id="underscore"),
        pytest.param('"\u0661\u0662"', DEFAULT_LIFETIME, id="other-digits"),
        pytest.param("[80]", DEFAULT_LIFETIME, id="list"),
        pytest.param('{"seconds": 80}', DEFAULT_LIFETIME, id="object"),
    ],
)
def test_any_lifetime_is_brought_within_bounds(expires_in: str, seconds: float) -> None:
    """RFC 6749 only recommends expires_in: nothing in it makes a token useless, nor fetches without end."""
    document = parse(f'{{"access_token": "t", "expires_in": {expires_in}}}'.encode(), KNOWN_KEYS)
    assert token_from(document, 0).lifetime == seconds


def test_a_token_without_a_lifetime_serves() -> None:
    """For the default."""
    assert token_from(parse(b'{"access_token": "t"}', KNOWN_KEYS), 0).lifetime == DEFAULT_LIFETIME


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param('{"access_token": "t", "token_type": "Bearer"}', id="as documented"),
        pytest.param('{"access_token": "t", "token_type": "bearer"}', id="lower case"),
        pytest.param('{"access_token": "t", "token_type": " BEARER "}', id="upper case, blanks"),
        pytest.param('{"access_token": "t", "token_type": "BearerToken"}', id="Apigee's"),
        pytest.param('{"access_token": "t", "token_type": ""}', id="empty type"),
        pytest.param('{"access_token": "t", "token_type": null}', id="no type"),
        pytest.param('{"Access_Token": "t", "Token_Type": "Bearer"}', id="keys in another case"),
        pytest.param('{" access_token ": "t"}', id="key with blanks"),
        pytest.param('{"access_token": "", "ACCESS_TOKEN": "t"}', id="the first that is not empty"),
        pytest.param('{"access_token": "t", "access_token": "t"}', id="the same twice"),
    ],
)
def test_a_bearer_token_is_read(reply: str) -> None:
    """RFC 6749, 5.1 and 7.1: types are compared case-blind; a reply without a type is of the only one documented."""
    assert token_from(parse(reply.encode(), KNOWN_KEYS), 0).value == "t"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param('{"access_token": "t", "token_type": "mac"}', id="mac"),
        pytest.param('{"access_token": "t", "Token_Type": "DPoP"}', id="DPoP"),
        pytest.param('{"access_token": "t", "token_type": "N_A"}', id="not a type"),
        pytest.param('{"access_token": "t", "token_type": "not bearer"}', id="another that contains it"),
        pytest.param('{"access_token": "t", "token_type": ["Bearer"]}', id="list"),
        pytest.param('{"access_token": "t", "access_token": "u"}', id="two tokens"),
        pytest.param('{"accessToken": "t"}', id="another key"),
        pytest.param('{"access_token": ""}', id="empty"),
        pytest.param('{"access_token": "t u"}', id="with a blank"),
    ],
)
def test_any_other_token_is_not_used(reply: str) -> None:
    """RFC 6749, 7.1: a token of a type that the client does not know must not be used."""
    with pytest.raises(ValueError, match="token"):
        token_from(parse(reply.encode(), KNOWN_KEYS), 0)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        pytest.param("", "no token in the reply", id="none"),
        pytest.param("t u", "a token that no header can carry", id="with-a-blank"),
        pytest.param("t" * 8193, "a token that no header can carry", id="too-long"),
    ],
)
def test_why_a_token_is_not_used_is_said(token: str, why: str) -> None:
    """A reply without one is another fault than a token that cannot be sent."""
    with pytest.raises(ValueError, match=f"^{why}"):
        token_from(parse(f'{{"access_token": "{token}"}}'.encode(), KNOWN_KEYS), 0)
