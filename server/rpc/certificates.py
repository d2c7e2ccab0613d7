"""The server's certificate and the CAs of its clients, read anew when they are rotated."""

import ssl
import threading
import time
from pathlib import Path

import grpc

from ..observability.logs import get_log
from ..reloading import Reloading
from ..settings import SettingsError

_PAIR = "GATEWAY_TLS_CERTIFICATE, GATEWAY_TLS_KEY"

_PAUSE = 0.02
"""Seconds that new connections wait at a rotation.

grpc 1.85 lets go of the old certificate under a lock, but begins handshakes with it outside of that lock: under 700 new
connections a second one rotation in some 3000 ended the process. Whoever passed the lock before has begun by then.
"""


class _NoCertificatesError(Exception):
    """The files hold no certificates: the settings that name them, and what is wrong."""


class Certificates:
    """A certificate, its key, and the CAs whose clients alone may connect; None: whoever can.

    Raises SettingsError when the files are none at the start; later the old ones stay, and the log says so.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._one_at_a_time = threading.Lock()  # servers ask at the same time
        paths = [certificate, key] + ([client_ca] if client_ca else [])
        try:
            self._current = Reloading(paths, self._load)
        except _NoCertificatesError as error:
            raise SettingsError([": ".join(error.args)]) from None

    def credentials(self) -> grpc.ServerCredentials:
        """What one server needs for one port; connections made after a rotation have the new certificate.

        grpc can require clients' certificates or not ask for them, nothing between.
        """
        known = self._current.value

        def changed() -> grpc.ServerCertificateConfiguration | None:
            """Asked by grpc before every handshake, in a thread of its own, under a lock: must be quick, not fail."""
            nonlocal known
            self.refresh()
            if known is self._current.value:
                return None
            known = self._current.value
            time.sleep(_PAUSE)
            return known

        return grpc.dynamic_ssl_server_credentials(
            known,
            changed,  # type: ignore[arg-type]  # its types miss None: nothing has changed
            require_client_authentication=self._client_ca is not None,
        )

    def refresh(self) -> None:
        """Reads the files again if one has changed. A broken one changes nothing, and an error is logged."""
        with self._one_at_a_time:
            try:
                if self._current.refresh():
                    get_log().info("certificates read again")
            except _NoCertificatesError as error:
                settings, why = error.args
                get_log().error("certificates are broken, the old ones stay", settings=settings, error=why)

    def _load(self) -> grpc.ServerCertificateConfiguration:
        """Tries the files with OpenSSL first: what grpc itself makes of broken ones shows only in its own log."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._certificate, self._key, password="")  # without one it would ask on a terminal
            pair = (self._key.read_bytes(), self._certificate.read_bytes())
        except ssl.SSLError:
            raise _NoCertificatesError(_PAIR, "are no certificate and its key in PEM") from None
        except OSError:
            raise _NoCertificatesError(_PAIR, "cannot be read") from None
        authorities = None
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
                authorities = self._client_ca.read_bytes()
            except ssl.SSLError:
                raise _NoCertificatesError("GATEWAY_TLS_CLIENT_CA", "holds no certificates in PEM") from None
            except OSError:
                raise _NoCertificatesError("GATEWAY_TLS_CLIENT_CA", "cannot be read") from None
        return grpc.ssl_server_certificate_configuration([pair], authorities)
