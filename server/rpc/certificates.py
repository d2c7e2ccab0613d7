"""The server's certificate and the CAs of its clients, read again when they are rotated."""

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import grpc

from ..files import BrokenFileError, load_authorities, load_pair, read_file, why_unreadable
from ..observability.certificate_end import first_end, next_look, warn_of_ends
from ..observability.logs import get_log
from ..reloading import Reloading, ReloadObserver
from ..settings import SettingsError

_NAMES, _CLIENT_CA = ("GATEWAY_TLS_CERTIFICATE", "GATEWAY_TLS_KEY"), "GATEWAY_TLS_CLIENT_CA"
_PAIR = ", ".join(_NAMES)

_PAUSE = 0.02
"""Seconds that new connections wait at a rotation.

grpc 1.85 releases the old certificate under a lock, but begins handshakes with it outside of that lock: under 700 new
connections a second one rotation in some 3000 ended the process. A handshake that passed the lock before has begun by
the end of this pause.
"""


class CertificateObserver(ReloadObserver, Protocol):
    """Counts readings, and knows when certificates end. settings: those that name the files."""

    def certificates_end(self, settings: str, ends: float) -> None: ...


class _Loaded(NamedTuple):
    """ends: for each setting the moment at which the first of its certificates ends, in seconds since 1970."""

    configuration: grpc.ServerCertificateConfiguration
    ends: Mapping[str, float]


class Certificates:
    """A certificate, its key, and the CAs whose clients alone may connect; without CAs, whoever can.

    Raises SettingsError when a file is broken at the start; later the old contents stay, and an error is logged. now:
    seconds since 1970.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        client_ca: Path | None,
        observer: CertificateObserver | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._observer = observer
        self._now = now
        self._one_at_a_time = threading.Lock()  # servers ask at the same time
        self._warn_at = 0.0
        self.settings = _PAIR if client_ca is None else f"{_PAIR}, {_CLIENT_CA}"
        paths = [certificate, key] + ([client_ca] if client_ca else [])
        try:
            self._current = Reloading(paths, self._load)
        except BrokenFileError as error:
            raise SettingsError([str(error)]) from None
        self._look_at_dates()

    def credentials(self) -> grpc.ServerCredentials:
        """Returns the credentials of one server's port; connections made after a rotation have the new certificate.

        grpc for Python can require clients' certificates or not ask for them, nothing between.
        """
        known = self._current.value.configuration

        def changed() -> grpc.ServerCertificateConfiguration | None:
            """Called by grpc before every handshake, in a thread of its own, under a lock: must be quick, not fail."""
            nonlocal known
            self.refresh()
            if known is self._current.value.configuration:
                return None
            known = self._current.value.configuration
            time.sleep(_PAUSE)
            return known

        return grpc.dynamic_ssl_server_credentials(
            known,
            changed,  # type: ignore[arg-type]  # its types miss None: nothing has changed
            require_client_authentication=self._client_ca is not None,
        )

    def refresh(self, *, force: bool = False) -> None:
        """Reads the files again if one has changed, or by force. A broken one changes nothing, and an error is logged.

        Warns of certificates that end soon or have ended.
        """
        with self._one_at_a_time:
            try:
                if not self._current.refresh(force=force):
                    if self._now() >= self._warn_at:
                        self._look_at_dates()
                    return
            except BrokenFileError as error:
                settings, _, why = str(error).partition(": ")
                get_log().error("certificates are broken, the old ones stay", settings=settings, error=why)
                success = False
            else:
                get_log().info("certificates read again", settings=self.settings)
                self._look_at_dates()
                success = True
        if self._observer is not None:
            self._observer.files_reloaded(self.settings, success=success)

    def _look_at_dates(self) -> None:
        ends, now = self._current.value.ends, self._now()
        if self._observer is not None:
            for settings, end in ends.items():
                self._observer.certificates_end(settings, end)
        warn_of_ends(ends, now)
        self._warn_at = next_look(ends, now)

    def _load(self) -> _Loaded:
        """Tries the files with OpenSSL first: grpc reports broken ones in its own log only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_pair(context, self._certificate, self._key, _NAMES)
        if self._client_ca is not None:
            load_authorities(context, self._client_ca, _CLIENT_CA)
        try:
            pair = (read_file(self._key), read_file(self._certificate))
            authorities = None if self._client_ca is None else read_file(self._client_ca)
        except OSError as error:  # it was there a moment ago
            raise BrokenFileError(f"{self.settings}: {why_unreadable(error)}") from None
        ends = {_PAIR: first_end(pair[1])} | ({_CLIENT_CA: first_end(authorities)} if authorities else {})
        return _Loaded(grpc.ssl_server_certificate_configuration([pair], authorities), ends)
