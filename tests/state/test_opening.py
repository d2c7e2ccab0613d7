"""From settings to a shared state: what is wrong is named, and no secret is shown."""

import base64

import pytest

from server.settings import SettingsError
from server.state.opening import open_state
from testkit.gateway import settings_for

KEY = base64.b64encode(bytes(32)).decode()


class _Nobody:
    def published(self, message: object) -> None: ...
    def missed(self) -> None: ...


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param({"state_url": "redis://secret@a,b"}, ["GATEWAY_STATE_URL"], id="no URL"),
        pytest.param({"state_url": "redis://127.0.0.1", "state_keys": "secret"}, ["GATEWAY_STATE_KEYS"], id="no key"),
        pytest.param({"state_url": "redis://engine.example"}, ["GATEWAY_STATE_KEYS"], id="unencrypted beyond loopback"),
        pytest.param(
            {"state_url": "secret", "state_keys": "secret"}, ["GATEWAY_STATE_URL", "GATEWAY_STATE_KEYS"], id="both"
        ),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(settings: dict[str, str], named: list[str]) -> None:
    """A line for each, at the start."""
    with pytest.raises(SettingsError) as caught:
        open_state(settings_for("http://127.0.0.1:1", **settings), _Nobody(), lambda up: None)
    assert [line.partition(":")[0] for line in caught.value.lines] == named
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"state_url": "redis://127.0.0.1"}, id="loopback"),
        pytest.param({"state_url": "rediss://engine.example", "state_keys": KEY}, id="with a key"),
        pytest.param({"state_url": "redis://engine.example", "state_allow_unencrypted": "true"}, id="allowed"),
    ],
)
async def test_what_may_be_opened_is_opened(settings: dict[str, str]) -> None:
    """It connects when it is entered, not before."""
    state = open_state(settings_for("http://127.0.0.1:1", **settings), _Nobody(), lambda up: None)
    assert not state.engine.is_up
