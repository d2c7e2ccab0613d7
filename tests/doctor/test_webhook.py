"""The webhook's ways to know senders."""

from typing import Any

import pytest
from pydantic import SecretStr

from server.doctor.webhook import CHECK, check_webhook
from testkit.gateway import settings_for

from .findings import PASSWORD, text_of

SIGNED = SecretStr(f"whsec_{'A' * 32}")


def _text(state: str, **changed: Any) -> str:
    return text_of(check_webhook(settings_for(None, **changed)), CHECK, state)


def test_no_webhook_is_nothing_to_check() -> None:
    """It is off unless its port is set."""
    assert _text("skipped") == "GATEWAY_WEBHOOK_LISTEN is not set"


def test_the_ways_to_know_senders_are_listed() -> None:
    """Without any of their secrets."""
    ways = {"webhook_secrets": SIGNED, "webhook_basic": SecretStr(f"user:{PASSWORD}"), "webhook_allow_unsigned": True}
    text = _text("ok", webhook_listen="127.0.0.1:0", **ways)
    assert text == "plaintext; knows senders by signatures (secrets: 1), a user and a password, anybody"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({}, "GATEWAY_WEBHOOK_SECRETS: needed, or another way", id="no-way"),
        pytest.param({"webhook_secrets": SecretStr(PASSWORD)}, "GATEWAY_WEBHOOK_SECRETS: must be whsec_", id="secret"),
        pytest.param(
            {"webhook_basic": SecretStr(PASSWORD)}, "GATEWAY_WEBHOOK_BASIC: must be user:password", id="basic"
        ),
        pytest.param(
            {"webhook_secrets": SIGNED, "webhook_listen": "0.0.0.0:0"},
            "GATEWAY_WEBHOOK_LISTEN: beyond loopback",
            id="plaintext-beyond-loopback",
        ),
        pytest.param({"webhook_secrets": SIGNED, "webhook_sources": "all"}, "GATEWAY_WEBHOOK_SOURCES", id="sources"),
    ],
)
def test_wrong_settings_of_the_webhook_are_named_as_at_the_start(changed: dict[str, Any], expected: str) -> None:
    """As the start refuses them."""
    assert _text("failed", **({"webhook_listen": "127.0.0.1:0"} | changed)).startswith(expected)
