"""Who sent a push: signatures, tokens, passwords, certificates; and everything that hostile headers may hold."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from standardwebhooks import Webhook

from server.webhook.senders import SenderRules, Senders, Trust, UnknownSenderError, parse_secrets

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD = "whsec_" + base64.b64encode(bytes(32)).decode()
TOKEN = "a-token-of-the-vendor"
BODY = b'{"eventId": "1"}'
ALL = SenderRules([SECRET, OLD], [TOKEN], "Authorization", "user:password")


def signed(body: bytes = BODY, secret: str = SECRET, minutes: float = 0) -> CIMultiDict[str]:
    """The headers of a push that was signed so many minutes ago."""
    moment = datetime.now(UTC) - timedelta(minutes=minutes)
    signature = Webhook(secret).sign("evt-1", moment, body.decode())
    return CIMultiDict(
        {"Webhook-Id": "evt-1", "Webhook-Timestamp": str(int(moment.timestamp())), "Webhook-Signature": signature}
    )


def basic(text: str) -> CIMultiDict[str]:
    """The header of Basic authentication."""
    return CIMultiDict({"Authorization": "Basic " + base64.b64encode(text.encode()).decode()})


@pytest.mark.parametrize(
    ("headers", "trust"),
    [
        pytest.param(signed, Trust.SIGNED, id="signed"),
        pytest.param(lambda: signed(secret=OLD), Trust.SIGNED, id="signed with the other secret"),
        pytest.param(lambda: signed(minutes=4), Trust.SIGNED, id="signed four minutes ago"),
        pytest.param(lambda: {"Authorization": f"Bearer {TOKEN}"}, Trust.HINT, id="bearer token"),
        pytest.param(lambda: {"authorization": f"bearer  {TOKEN}"}, Trust.HINT, id="bearer token in other letters"),
        pytest.param(lambda: basic("user:password"), Trust.HINT, id="basic"),
        pytest.param(
            lambda: {**signed(), "Authorization": "Bearer wrong"}, Trust.SIGNED, id="signed beside a wrong token"
        ),
    ],
)
def test_one_way_to_know_a_sender_suffices(headers: Callable[[], Mapping[str, str]], trust: Trust) -> None:
    """What is signed is believed; what is known by other means is a hint."""
    assert Senders(ALL).trust(CIMultiDict(headers()), BODY) is trust


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(dict, id="nothing"),
        pytest.param(lambda: signed(b'{"eventId": "2"}'), id="another body's signature"),
        pytest.param(lambda: signed(minutes=6), id="six minutes old"),
        pytest.param(lambda: signed(minutes=-6), id="from the future"),
        pytest.param(lambda: signed(secret="whsec_" + base64.b64encode(b"x" * 32).decode()), id="another secret"),
        pytest.param(
            lambda: {**signed(minutes=6), "Authorization": f"Bearer {TOKEN}"}, id="old signature beside a right token"
        ),
        pytest.param(lambda: {**signed(), "Webhook-Id": "evt-2"}, id="another id"),
        pytest.param(
            lambda: {"Webhook-Signature": "v1,AAAA", "Authorization": f"Bearer {TOKEN}"}, id="half a signature"
        ),
        pytest.param(lambda: {"Authorization": "Bearer"}, id="no token"),
        pytest.param(lambda: {"Authorization": f"Bearer {TOKEN}x"}, id="a longer token"),
        pytest.param(lambda: {"Authorization": TOKEN}, id="a token without its scheme"),
        pytest.param(lambda: {"Authorization": f"Basic {TOKEN}"}, id="a token as basic"),
        pytest.param(lambda: basic("user:wrong"), id="wrong password"),
        pytest.param(lambda: basic("user"), id="no password"),
        pytest.param(lambda: {"X-Token": TOKEN}, id="a token in another header"),
    ],
)
def test_everybody_else_is_unknown(headers: Callable[[], Mapping[str, str]]) -> None:
    """A signature that is there must be right, whatever else is."""
    with pytest.raises(UnknownSenderError):
        Senders(ALL).trust(CIMultiDict(headers()), BODY)


def test_a_token_may_stand_in_a_header_of_its_own() -> None:
    """Then without a scheme, and Authorization has none."""
    senders = Senders(SenderRules(tokens=[TOKEN], token_header="X-Webhook-Token"))
    assert senders.trust(CIMultiDict({"x-webhook-token": TOKEN}), BODY) is Trust.HINT
    with pytest.raises(UnknownSenderError):
        senders.trust(CIMultiDict({"Authorization": f"Bearer {TOKEN}"}), BODY)


@pytest.mark.parametrize(
    "rules",
    [pytest.param(SenderRules(unsigned=True), id="unsigned"), pytest.param(SenderRules(certificate=True), id="mTLS")],
)
def test_what_is_not_signed_is_only_a_hint(rules: SenderRules) -> None:
    """Whether anybody may send, or TLS has verified the sender."""
    assert Senders(rules).trust(CIMultiDict(), BODY) is Trust.HINT


_HOSTILE = st.text(max_size=80) | st.sampled_from(
    ["v1,", ",", "v1", "v1,===", "v2,AAAA v1,AAAA", "1e999", "nan", "-1", "é"]
)


@given(_HOSTILE, _HOSTILE, _HOSTILE, st.binary(max_size=60))
def test_hostile_headers_are_unknown_senders(event: str, timestamp: str, signature: str, body: bytes) -> None:
    """The library raises five kinds of exceptions on them; nothing else than UnknownSenderError leaves here."""
    headers = CIMultiDict(
        {"webhook-id": event, "webhook-timestamp": timestamp, "webhook-signature": signature, "authorization": event}
    )
    with pytest.raises(UnknownSenderError):
        Senders(ALL).trust(headers, body)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("whsec_AAAA", id="three bytes"),
        pytest.param("secret", id="no prefix"),
        pytest.param("whsec_", id="nothing"),
        pytest.param("whsec_se cret" + "A" * 40, id="no base64"),
        pytest.param("whsec_" + "A" * 200, id="too long"),
        pytest.param(f"{SECRET},", id="an empty one"),
        pytest.param(f"{SECRET},secret", id="one of two"),
    ],
)
def test_what_is_no_secret_is_refused_without_showing_it(value: str) -> None:
    """The library would take a secret of three bytes."""
    with pytest.raises(ValueError, match="must be whsec_") as caught:
        parse_secrets(value)
    assert "secret" not in str(caught.value)


def test_two_live_secrets_are_read() -> None:
    """Comma-separated, blanks around them; unpadded base64 is as good."""
    assert parse_secrets(f"{SECRET}, {OLD.rstrip('=')}") == [SECRET, OLD.rstrip("=")]
