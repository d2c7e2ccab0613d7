"""The files of TLS on the webhook's port: its certificate, and the CA of the senders that have one."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from ..files import BrokenFileError, load_authorities, load_pair
from ..settings import PREFIX

CERTIFICATE, KEY, CLIENT_CA = (
    f"{PREFIX}WEBHOOK_TLS_CERTIFICATE",
    f"{PREFIX}WEBHOOK_TLS_KEY",
    f"{PREFIX}WEBHOOK_TLS_CLIENT_CA",
)
PAIR = f"{CERTIFICATE}, {KEY}"


@dataclass(frozen=True, slots=True)
class WebhookTlsFiles:
    """PEM files. client_ca: None: senders need no certificate."""

    certificate: Path
    key: Path
    client_ca: Path | None

    @property
    def paths(self) -> list[Path]:
        """Those that are set."""
        return [path for path in (self.certificate, self.key, self.client_ca) if path is not None]

    @property
    def settings(self) -> str:
        """The names of the settings that name them."""
        return PAIR if self.client_ca is None else f"{PAIR}, {CLIENT_CA}"

    @property
    def certificates(self) -> dict[str, Path | None]:
        """The files of certificates, by the settings that name them."""
        return {PAIR: self.certificate, CLIENT_CA: self.client_ca}

    def load(self) -> ssl.SSLContext:
        """Returns a server's context. Raises BrokenFileError, a line for each broken file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        lines = []
        try:
            load_pair(context, self.certificate, self.key, (CERTIFICATE, KEY))
        except BrokenFileError as error:
            lines.append(str(error))
        if self.client_ca is not None:
            try:
                load_authorities(context, self.client_ca, CLIENT_CA)
                context.verify_mode = ssl.CERT_REQUIRED
            except BrokenFileError as error:
                lines.append(str(error))
        if lines:
            raise BrokenFileError("\n".join(lines))
        return context
