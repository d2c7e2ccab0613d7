"""Senders' secrets and tokens, read again where they come from files of GATEWAY_SECRETS_DIR."""

from collections.abc import Mapping

from ..files import BrokenFileError
from ..settings import PREFIX, Settings
from .senders import SenderRules, parse_secrets

MIN_TOKEN = 16
"""Characters of a token at least: a shorter one can be guessed."""

_SECRETS, _TOKENS, _BASIC = _NAMES = ("webhook_secrets", "webhook_tokens", "webhook_basic")


class SenderFiles:
    """Those settings that come from files. The others stay as they were at the start."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.files = settings.secret_files(*_NAMES)

    def load(self) -> SenderRules:
        """Returns the ways to know a sender. Raises BrokenFileError, a line for each wrong setting or broken file."""
        values: dict[str, str | None] = {}
        lines: list[str] = []
        for name in _NAMES:
            secret = getattr(self._settings, name)
            try:
                values[name] = self.files.read(name) if name in self.files else secret and secret.get_secret_value()
            except BrokenFileError as error:
                lines.append(str(error))
        rules = _rules(self._settings, values, lines)
        if lines:
            raise BrokenFileError("\n".join(lines))
        return rules


def _rules(settings: Settings, values: Mapping[str, str | None], lines: list[str]) -> SenderRules:
    """The rules of these values; lines: receives what is wrong with them."""
    secrets: list[str] = []
    try:
        secrets = parse_secrets(value) if (value := values.get(_SECRETS)) else []
    except ValueError as error:
        lines.append(f"{PREFIX}WEBHOOK_SECRETS: {error}")
    tokens = [token.strip() for token in value.split(",")] if (value := values.get(_TOKENS)) else []
    if any(len(token) < MIN_TOKEN for token in tokens):
        lines.append(f"{PREFIX}WEBHOOK_TOKENS: must be tokens of at least {MIN_TOKEN} characters, comma-separated")
    basic = values.get(_BASIC)
    if basic is not None and not all(basic.partition(":")):
        lines.append(f"{PREFIX}WEBHOOK_BASIC: must be user:password")
    return SenderRules(
        secrets,
        tokens,
        settings.webhook_token_header,
        basic,
        certificate=settings.webhook_tls_client_ca is not None,
        unsigned=settings.webhook_allow_unsigned,
    )
