"""The settings as people read them: their defaults for the help, and as they are for the status page."""

from typing import NamedTuple

from pydantic import SecretStr

from .names import PREFIX
from .settings import Settings

_CREDENTIALS = {"vendor_client_id"}
_WORDS = {"True": "true", "False": "false"}


def defaults() -> str:
    """Each setting as a line, `  GATEWAY_GRACE=30.0`; one without a default ends at the equals sign."""
    values = {name: field.default for name, field in Settings.model_fields.items()}
    texts = {name: "" if value is None else str(value) for name, value in values.items()}
    return "\n".join(f"  {PREFIX}{name.upper()}={_WORDS.get(text, text)}" for name, text in texts.items())


class ShownSetting(NamedTuple):
    """A setting for people to read. value: `set` for a secret that is set, empty without a value."""

    name: str
    value: str
    is_default: bool


def shown(settings: Settings) -> list[ShownSetting]:
    """Returns all settings, as they hold, without secrets and credentials."""
    found = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        is_secret = isinstance(value, SecretStr) or name in _CREDENTIALS
        text = "" if value is None else "set" if is_secret else str(value)
        found.append(ShownSetting(PREFIX + name.upper(), _WORDS.get(text, text), value == field.default))
    return found
