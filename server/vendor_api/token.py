"""An access token of the vendor's, as its token endpoint sends it (RFC 6749, 5.1)."""

import re
from dataclasses import dataclass, field
from typing import Any

from .document import Keys, Number, Object, is_empty

RENEW_SHARE = 0.1
"""The last part of a token's lifetime, in which a new one is fetched while the old one still serves."""

MIN_LIFETIME, DEFAULT_LIFETIME, MAX_LIFETIME = 1.0, 300.0, 86_400.0
"""Seconds. A shorter or longer lifetime is taken for these; the default is for replies without a usable one."""

_KEYS = Keys(("access_token", "expires_in", "token_type"))

_BEARER = re.compile(r"\s*bearer(token)?\s*", re.IGNORECASE | re.ASCII)  # "BearerToken" is Apigee's
_SENDABLE = re.compile(r"[\x21-\x7e]{1,8192}")
_SECONDS = re.compile(r"\s*[0-9]{1,20}(\.[0-9]{0,20})?(e\+?[0-9]{1,2})?\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. lifetime: seconds from asked_at, when it was requested, on the event loop's clock."""

    value: str = field(repr=False)
    lifetime: float
    asked_at: float

    @property
    def expires_at(self) -> float:
        return self.asked_at + self.lifetime

    @property
    def renew_at(self) -> float:
        return self.asked_at + self.lifetime * (1 - RENEW_SHARE)


def token_from(document: Object, asked_at: float) -> Token:
    """Reads a token reply, its keys in any letter case.

    Raises ValueError when its token cannot be sent in a header, or is of another type than Bearer: a client that does
    not know a type must not use its tokens (RFC 6749, 7.1). A missing type is Bearer, the only one that the vendor has.

    An expires_in that is missing, not positive or not a number of seconds, as a number or as text, is never an error:
    RFC 6749 only recommends it, and a token that the vendor no longer accepts is replaced anyway.
    """
    reply = Object(document.pairs, _KEYS)
    value = _value(reply, "access_token")
    if type(value) is not str or not value:
        raise ValueError("no token in the reply")
    if not _SENDABLE.fullmatch(value):
        raise ValueError("a token that no header can carry: blanks, characters beyond ASCII, more than 8192 of them")
    token_type = _value(reply, "token_type")
    if token_type is not None and not (type(token_type) is str and _BEARER.fullmatch(token_type)):
        raise ValueError("a token of another type than Bearer")
    return Token(value, _lifetime(_value(reply, "expires_in")), asked_at)


def _value(reply: Object, key: str) -> Any:
    """The value under a key, else under the same in another letter case; None without one that is not empty."""
    values = (reply.get(key), reply.near_match(key))
    return next((value for value in values if not is_empty(value)), None)


def _lifetime(expires_in: object) -> float:
    if isinstance(expires_in, Number):
        expires_in = expires_in.decode()
    if not isinstance(expires_in, str):
        return DEFAULT_LIFETIME
    if expires_in.isdigit() and len(expires_in) > 20:
        return MAX_LIFETIME
    seconds = float(expires_in) if _SECONDS.fullmatch(expires_in) else 0.0
    return min(max(seconds, MIN_LIFETIME), MAX_LIFETIME) if seconds > 0 else DEFAULT_LIFETIME
