"""The files of TLS to the vendor: the CAs that are trusted for it, and our own certificate, if it asks for one."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from ..files import client_context, load_pair

CA, _PAIR = "GATEWAY_VENDOR_CA", ("GATEWAY_VENDOR_CERTIFICATE", "GATEWAY_VENDOR_KEY")
PAIR = ", ".join(_PAIR)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. ca: None for the system's CAs. certificate, key: both or neither.

    are_used: whether an address of the vendor's is https. Else the system's CAs are not loaded, which takes 20 ms.
    """

    ca: Path | None
    certificate: Path | None
    key: Path | None
    are_used: bool = True

    @property
    def paths(self) -> list[Path]:
        """Those that are set."""
        return [path for path in (self.ca, self.certificate, self.key) if path is not None]

    @property
    def settings(self) -> str:
        """The names of the settings that name them."""
        return ", ".join(name for name, path in ((CA, self.ca), (PAIR, self.certificate)) if path is not None)

    @property
    def certificates(self) -> dict[str, Path | None]:
        """The files of certificates, by the settings that name them."""
        return {CA: self.ca, PAIR: self.certificate}

    def load(self) -> ssl.SSLContext:
        """Returns a client's context, which verifies certificates and host names. Raises BrokenFileError."""
        trusts_nobody = self.ca is None and not self.are_used
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if trusts_nobody else client_context(self.ca, CA)
        if self.certificate is not None and self.key is not None:
            load_pair(context, self.certificate, self.key, _PAIR)
        return context
