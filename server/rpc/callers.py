"""Identifies callers, by the names in their certificates or by their bearer tokens, and their permissions."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import GatewayError
from ..files import BrokenFileError
from ..reloading import Reloading, Watched
from ..settings import SettingsError
from .callers_file import ANONYMOUS, CANCEL, READ, Caller, Rules, read_rules

if TYPE_CHECKING:
    from .peer_certificates import PeerCertificates  # its library takes 7 MB: only a gateway with TLS loads it

PERMISSION_BY_METHOD: Mapping[str, str] = {
    "GetCallRequestResult": READ,
    "BatchGetCallRequestResults": READ,
    "WatchCallRequestResult": READ,
    "CancelCallRequest": CANCEL,
}
"""The permission that a caller needs for a method; nobody may call a method that is not listed."""

SETTING = "GATEWAY_CALLERS"
_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")


class AnyCertificate:
    """Admits whoever has a certificate that gRPC has verified, as long as its dates hold: where there is no file."""

    _CALLER = Caller(ANONYMOUS, frozenset({READ, CANCEL}))

    def __init__(self, certificates: "PeerCertificates") -> None:
        self._certificates = certificates

    def identify(
        self, auth_context: Mapping[str, Iterable[bytes]], metadata: Iterable[tuple[str, str | bytes]]
    ) -> Caller:
        """Returns the anonymous caller, with all permissions. Raises CALLER_UNAUTHENTICATED."""
        self._certificates.names(auth_context)
        return self._CALLER


class Callers:
    """The callers of a file. Raises SettingsError when it is broken at the start.

    certificates: reads clients' certificates; None: they are not verified. loaded: called with the rules, at once and
    whenever they were read again. watched: for what reads the file again; a broken one leaves the old rules.
    """

    def __init__(
        self,
        path: Path,
        certificates: "PeerCertificates | None",
        loaded: Callable[[Rules], None] = lambda rules: None,
    ) -> None:
        self._path = path
        self._certificates = certificates
        try:
            self._rules = Reloading([path], self._read)
        except BrokenFileError as error:
            raise SettingsError([f"{SETTING}: {error}"]) from None
        loaded(self._rules.value)
        self.watched = Watched(
            SETTING,
            self._rules,
            loaded,
            loaded_event="callers read again",
            broken_event="callers' file is broken, the old rules stay",
        )

    def identify(
        self, auth_context: Mapping[str, Iterable[bytes]], metadata: Iterable[tuple[str, str | bytes]]
    ) -> Caller:
        """Returns the caller. Raises CALLER_UNAUTHENTICATED. A known certificate decides; otherwise the token does."""
        rules = self._rules.value
        if self._certificates is not None:
            for name in self._certificates.names(auth_context):
                caller = rules.by_san.get(name)
                if caller is not None:
                    return caller
        headers = [value for key, value in metadata if key == "authorization"]
        bearer = _BEARER.fullmatch(headers[0]) if len(headers) == 1 and isinstance(headers[0], str) else None
        # In constant time as far as it matters: the key of the look-up is a hash of the token, so that its duration
        # reveals nothing about the token; even the whole stored hash would not help to make one.
        caller = rules.by_digest.get(hashlib.sha256(bearer[1].encode()).hexdigest()) if bearer else None
        if caller is None:
            raise GatewayError(reasons.ERROR_REASON_CALLER_UNAUTHENTICATED)
        return caller

    def _read(self) -> Rules:
        rules = read_rules(self._path)
        if rules.by_san and self._certificates is None:
            raise BrokenFileError("callers with a certificate need GATEWAY_TLS_CLIENT_CA")
        return rules
