"""Files that settings name: read only when they are regular and of a sane size, and what is wrong with those of TLS.

A pipe, a device or a terminal in a file's place would hold its reader up for ever, or never end.
"""

import os
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_Loaded = TypeVar("_Loaded")

MAX_BYTES = 16 << 20
"""Bytes of a file at most; all CAs of a system are less than 1 MiB."""


class BrokenFileError(Exception):
    """A file cannot be used: one line that says why, and never what the file holds."""


class UnreadableFileError(OSError):
    """Not tried, because reading it might not end. Its text says why."""


def check_file(path: Path) -> None:
    """Raises OSError when it cannot be found, is not a regular file, or holds more than MAX_BYTES."""
    try:
        status = path.stat()
    except ValueError:  # a NUL in its name
        raise UnreadableFileError("cannot be read") from None
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFileError("is not a regular file")
    if status.st_size > MAX_BYTES:
        raise UnreadableFileError(f"holds more than {MAX_BYTES >> 20} MiB")


def read_file(path: Path) -> bytes:
    """Returns what it holds. Raises OSError, also for what check_file refuses."""
    check_file(path)
    with path.open("rb") as file:
        return file.read(MAX_BYTES)


def why_unreadable(error: OSError) -> str:
    """The rest of a line that begins with the setting's name."""
    return str(error) if isinstance(error, UnreadableFileError) else "cannot be read"


def find_read_error(path: Path) -> str | None:
    """The same of a file that is missing, that this process may not read, or that check_file refuses; else None."""
    try:
        check_file(path)
    except OSError as error:
        return why_unreadable(error)
    return None if os.access(path, os.R_OK) else "cannot be read"


def load_pair(context: ssl.SSLContext, certificate: Path, key: Path, settings: tuple[str, str]) -> None:
    """Loads a certificate with its chain, and its key, in PEM. settings: their names. Raises BrokenFileError."""
    for setting, path in zip(settings, (certificate, key), strict=True):
        if (why := find_read_error(path)) is not None:
            raise BrokenFileError(f"{setting}: {why}")
    try:
        context.load_cert_chain(certificate, key, password="")  # without one OpenSSL would ask on a terminal
    except ssl.SSLError as error:
        raise BrokenFileError(_what_is_wrong(certificate, key, settings) or _refused(error, settings)) from None
    except OSError:
        raise BrokenFileError(f"{', '.join(settings)}: cannot be read") from None


def load_authorities(context: ssl.SSLContext, path: Path, setting: str) -> None:
    """Loads CAs, in PEM. setting: its name. Raises BrokenFileError."""
    _checked(lambda: context.load_verify_locations(path), path, setting)


def client_context(ca: Path | None, setting: str) -> ssl.SSLContext:
    """Returns a client's context, which verifies certificates and host names. ca: None for the system's CAs.

    setting: its name. Raises BrokenFileError.
    """
    if ca is None:
        return ssl.create_default_context()
    return _checked(lambda: ssl.create_default_context(cafile=ca), ca, setting)


def _checked(load: Callable[[], _Loaded], path: Path, setting: str) -> _Loaded:
    if (why := find_read_error(path)) is not None:
        raise BrokenFileError(f"{setting}: {why}")
    try:
        return load()
    except ssl.SSLError:
        raise BrokenFileError(f"{setting}: holds no certificates in PEM, or one that is broken") from None
    except OSError:
        raise BrokenFileError(f"{setting}: cannot be read") from None


def _refused(error: ssl.SSLError, settings: tuple[str, str]) -> str:
    return f"{', '.join(settings)}: OpenSSL refuses them: {error.reason or 'without a reason'}"


def _what_is_wrong(certificate: Path, key: Path, settings: tuple[str, str]) -> str | None:
    """A line about what is wrong, as exact as can be found out; None when nothing is found."""
    from cryptography.exceptions import UnsupportedAlgorithm  # 10 ms, for those with a broken file
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates

    of_certificate, of_key = settings
    try:
        chain = [each.public_key() for each in load_pem_x509_certificates(read_file(certificate))]
    except (OSError, ValueError, UnsupportedAlgorithm):
        return f"{of_certificate}: holds no certificates in PEM, or one that is broken"
    try:
        public = load_pem_private_key(read_file(key), None).public_key()
    except TypeError:
        return f"{of_key}: is encrypted: store it without a passphrase"
    except (OSError, ValueError, UnsupportedAlgorithm):
        return f"{of_key}: holds no key in PEM"
    if public == chain[0]:
        return None
    if public in chain:
        return f"{of_certificate}: the certificate of {of_key} must be the first in it, those of CAs after it"
    return f"{of_certificate}, {of_key}: the key is not that of the certificate"
