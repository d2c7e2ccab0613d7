"""Identifies callers, by the names in their certificates or by their bearer tokens, and their permissions."""

import asyncio
import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import GatewayError
from ..files import BrokenFileError
from ..observability.logs import describe, get_log
from ..reloading import Reloading, ReloadObserver
from ..settings import SettingsError
from .callers_file import ANONYMOUS, CANCEL, READ, Caller, Rules, read_rules

if TYPE_CHECKING:
    from .peer_certificates import PeerCertificates  # its library takes 7 MB: only a gateway with TLS loads it

CHECK_INTERVAL = 1.0
"""Seconds between two looks at the file."""

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
    """The callers of a file, kept current: `async with Callers(path, certificates) as callers`.

    certificates: reads clients' certificates; None: they are not verified. loaded: called with the rules that hold from
    now on, in any thread. Raises SettingsError when the file is broken
    at the start; later the old rules stay, and an error is logged.
    """

    def __init__(
        self,
        path: Path,
        certificates: "PeerCertificates | None",
        loaded: Callable[[Rules], None] = lambda rules: None,
        observer: ReloadObserver | None = None,
    ) -> None:
        self._path = path
        self._certificates = certificates
        self._loaded = loaded
        self._observer = observer
        self._one_at_a_time = threading.Lock()  # SIGHUP may come while the file is looked at
        try:
            self._rules = Reloading([path], self._read)
        except BrokenFileError as error:
            raise SettingsError([f"{SETTING}: {error}"]) from None
        loaded(self._rules.value)

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._watching.cancel()
        with suppress(asyncio.CancelledError):
            await self._watching

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

    def refresh(self, *, force: bool = False) -> None:
        """Reads the file again if it has changed, or by force. A broken one changes nothing, and an error is logged."""
        with self._one_at_a_time:
            try:
                if not self._rules.refresh(force=force):
                    return
            except BrokenFileError as error:
                get_log().error("callers' file is broken, the old rules stay", settings=SETTING, error=str(error))
                success = False
            else:
                self._loaded(self._rules.value)
                get_log().info("callers read again", settings=SETTING)
                success = True
        if self._observer is not None:
            self._observer.files_reloaded(SETTING, success=success)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            try:
                await asyncio.to_thread(self.refresh)  # a slow disk must not stop the calls
            except Exception as error:
                get_log().error("unexpected", **describe(error))

    def _read(self) -> Rules:
        rules = read_rules(self._path)
        if rules.by_san and self._certificates is None:
            raise BrokenFileError("callers with a certificate need GATEWAY_TLS_CLIENT_CA")
        return rules
