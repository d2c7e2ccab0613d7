"""From settings to a shared state. It is imported only when there is one: its libraries are an extra."""

from collections.abc import Callable

from ..files import BrokenFileError
from ..settings import PREFIX, Settings, SettingsError
from .ca_file import ca_file
from .connecting import client_factory, parse_state_url
from .encryption import Encryption, parse_keys
from .shared_state import Listener, SharedState, any_answer


def open_state(
    settings: Settings,
    listener: Listener,
    up_changed: Callable[[bool], None],
    is_answer: Callable[[str, bytes], bool] = any_answer,
) -> SharedState:
    """Returns the shared state of these settings, to be entered. Raises SettingsError, a line for each wrong setting.

    listener: receives what other processes publish. up_changed: receives whether the engine is up. is_answer: whether
    bytes are the serialized answer for a call request.
    """
    lines, url, keys, ca = [], None, [], None
    try:
        url = parse_state_url(settings.state_url.get_secret_value() if settings.state_url else "")
    except ValueError as error:
        lines.append(f"{PREFIX}STATE_URL: {error}")
    try:
        keys = parse_keys(settings.state_keys.get_secret_value()) if settings.state_keys else []
    except ValueError as error:
        lines.append(f"{PREFIX}STATE_KEYS: {error}")
    if url is not None and not url.is_local and not settings.state_keys and not settings.state_allow_unencrypted:
        lines.append(
            f"{PREFIX}STATE_KEYS: needed beyond loopback, since results hold guests' data; "
            f"or {PREFIX}STATE_ALLOW_UNENCRYPTED=true"
        )
    try:
        ca = ca_file(settings.state_ca)
    except BrokenFileError as error:
        lines.append(str(error))
    if lines or url is None:
        raise SettingsError(lines)
    make_client = client_factory(url, ca)
    return SharedState(make_client, Encryption(keys), settings.final_max_age, listener, up_changed, is_answer, ca)
