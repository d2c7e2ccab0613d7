"""Who sent a push: known by its signature, it is believed; known by other means, it is a hint."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from multidict import CIMultiDict, CIMultiDictProxy
from standardwebhooks import Webhook, WebhookVerificationError

SECRET_PREFIX = "whsec_"  # noqa: S105 (a prefix)
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
"""As Standard Webhooks has it; its library takes a secret of three bytes."""
MAX_HEADER = 4096
"""Characters of a header that are looked at."""

_SIGNATURE_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
Headers = CIMultiDict[str] | CIMultiDictProxy[str]


class Trust(Enum):
    """How far a push is believed."""

    SIGNED = "its content is the sender's: it is stored"
    HINT = "something may have changed: the result is read again"


class UnknownSenderError(Exception):
    """Nobody knows the sender, or what it sent to prove itself is wrong."""


def parse_secrets(value: str) -> list[str]:
    """Reads `whsec_…` secrets, comma-separated. Raises ValueError; its text holds nothing of a secret."""
    secrets = [part.strip() for part in value.split(",")]
    for secret in secrets:
        encoded = secret.removeprefix(SECRET_PREFIX)
        try:
            length = len(base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
        except (binascii.Error, ValueError):
            length = 0
        if encoded == secret or not MIN_SECRET_BYTES <= length <= MAX_SECRET_BYTES:
            raise ValueError(f"must be {SECRET_PREFIX} and {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes in base64")
    return secrets


@dataclass(frozen=True, slots=True)
class SenderRules:
    """The ways to know a sender; one of them suffices.

    secrets: of signatures. tokens: in token_header; as a bearer token in Authorization. basic: `user:password`.
    certificate: whether TLS has verified a client certificate. unsigned: whether anybody may send hints.
    """

    secrets: Sequence[str] = field(default=(), repr=False)
    tokens: Sequence[str] = field(default=(), repr=False)
    token_header: str = "Authorization"  # noqa: S105 (a name)
    basic: str | None = field(default=None, repr=False)
    certificate: bool = False
    unsigned: bool = False

    @property
    def know_anybody(self) -> bool:
        """Whether there is any way at all."""
        return bool(self.secrets or self.tokens or self.basic or self.certificate or self.unsigned)


class Senders:
    """Decides about each push."""

    def __init__(self, rules: SenderRules) -> None:
        self._rules = rules
        self._signed = [Webhook(secret) for secret in rules.secrets]
        self._tokens = [token.encode() for token in rules.tokens]
        self._basic = rules.basic and base64.b64encode(rules.basic.encode())
        self._single = (*_SIGNATURE_HEADERS, "authorization", rules.token_header)

    def trust(self, headers: Headers, body: bytes) -> Trust:
        """Returns how far the push is believed. Raises UnknownSenderError.

        A signature that is present must be valid, whatever else proves the sender. A header by which a sender is known
        may come once: of two, a proxy in between may have checked the other one.
        """
        if any(len(headers.getall(name, ())) > 1 for name in self._single):
            raise UnknownSenderError
        if self._signed and "webhook-signature" in headers:
            if self._is_signed(headers, body):
                return Trust.SIGNED
            raise UnknownSenderError
        if self._rules.certificate or self._rules.unsigned or self._has_token(headers) or self._has_basic(headers):
            return Trust.HINT
        raise UnknownSenderError

    def _is_signed(self, headers: Headers, body: bytes) -> bool:
        given = {name: headers.get(name, "")[:MAX_HEADER] for name in _SIGNATURE_HEADERS}
        for webhook in self._signed:
            try:
                webhook.verify(body, given, json_parse=False)
            except (WebhookVerificationError, ValueError, OverflowError):
                continue  # ValueError: base64, UTF-8 and parts that hostile headers break
            return True
        return False

    def _has_token(self, headers: Headers) -> bool:
        value = headers.get(self._rules.token_header, "")[:MAX_HEADER]
        if self._rules.token_header.lower() == "authorization":
            scheme, _, value = value.partition(" ")
            if scheme.lower() != "bearer":
                return False
        return _is_one_of(value.strip(), self._tokens)

    def _has_basic(self, headers: Headers) -> bool:
        scheme, _, value = headers.get("authorization", "")[:MAX_HEADER].partition(" ")
        return bool(self._basic) and scheme.lower() == "basic" and _is_one_of(value.strip(), [self._basic or b""])


def _is_one_of(value: str, secrets: Sequence[bytes]) -> bool:
    """In a time that does not depend on how much of a secret was guessed."""
    given = value.encode("utf-8", "surrogateescape")
    matches = [hmac.compare_digest(given, secret) for secret in secrets]
    return any(matches)
