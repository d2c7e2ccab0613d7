"""The file of GATEWAY_STATE_CA. New connections to the engine trust what it held when it was last good."""

import ssl
from pathlib import Path

from ..files import BrokenFileError, read_file, why_unreadable
from ..reloading import Reloading

SETTING = "GATEWAY_STATE_CA"


def ca_file(path: Path | None) -> Reloading[str] | None:
    """The certificates in it, in PEM; None: the system's are trusted. It and its `refresh` raise BrokenFileError."""
    return None if path is None else Reloading([path], lambda: _load(path))


def _load(path: Path) -> str:
    try:
        # OpenSSL passes over what stands between certificates; from memory it takes ASCII only.
        authorities = read_file(path).decode("ascii", "ignore")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError):  # ValueError: it is empty
        raise BrokenFileError(f"{SETTING}: holds no certificates in PEM, or one that is broken") from None
    except OSError as error:
        raise BrokenFileError(f"{SETTING}: {why_unreadable(error)}") from None
    return authorities
