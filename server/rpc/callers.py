"""Who calls, and what it may call: by the names in its certificate, or by its bearer token."""

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import GatewayError
from ..observability.logs import describe, get_log
from ..reloading import Reloading
from ..settings import SettingsError
from .callers_file import CANCEL, DNS, READ, URI, BrokenFileError, Caller, Rules, read_rules

CHECK_INTERVAL = 1.0
"""Seconds between two looks at the file."""

PERMISSION_BY_METHOD: Mapping[str, str] = {
    "GetCallRequestResult": READ,
    "BatchGetCallRequestResults": READ,
    "WatchCallRequestResult": READ,
    "CancelCallRequest": CANCEL,
}
"""What a caller needs for a method; a method without its row here nobody may call."""

_SETTING = "GATEWAY_CALLERS"
_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")


class Callers:
    """The callers of a file, kept current: `async with Callers(path, certificates=…) as callers`.

    certificates: whether clients' certificates are verified. Raises SettingsError when the file is none at the start;
    later the old rules stay, and the log says so.
    """

    def __init__(self, path: Path, *, certificates: bool) -> None:
        self._path = path
        self._certificates = certificates
        try:
            self._rules = Reloading([path], self._read)
        except BrokenFileError as error:
            raise SettingsError([f"{_SETTING}: {error}"]) from None

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
        """Who calls. Raises CALLER_UNAUTHENTICATED. A certificate that is known decides; else the token does."""
        rules = self._rules.value
        if rules.by_san:
            for kind in (URI, DNS):
                for name in auth_context.get(kind, ()):
                    caller = rules.by_san.get((kind, name.lower() if kind == DNS else name))
                    if caller is not None:
                        return caller
        headers = [value for key, value in metadata if key == "authorization"]
        bearer = _BEARER.fullmatch(headers[0]) if len(headers) == 1 and isinstance(headers[0], str) else None
        # In constant time as far as it matters: what is looked up is a hash of what was sent, so that the time taken
        # tells nothing about the token; even whoever learnt the whole stored hash could not make a token from it.
        caller = rules.by_digest.get(hashlib.sha256(bearer[1].encode()).hexdigest()) if bearer else None
        if caller is None:
            raise GatewayError(reasons.ERROR_REASON_CALLER_UNAUTHENTICATED)
        return caller

    def refresh(self) -> None:
        """Reads the file again if it has changed. One that is broken changes nothing, and the log says so."""
        try:
            if self._rules.refresh():
                get_log().info("callers read again", settings=_SETTING)
        except BrokenFileError as error:
            get_log().error("callers' file is broken, the old rules stay", settings=_SETTING, error=str(error))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            try:
                await asyncio.to_thread(self.refresh)  # a slow disk must not stop the calls
            except Exception as error:
                get_log().error("unexpected", **describe(error))

    def _read(self) -> Rules:
        rules = read_rules(self._path)
        if rules.by_san and not self._certificates:
            raise BrokenFileError("callers with a certificate need GATEWAY_TLS_CLIENT_CA")
        return rules
