"""When certificates end."""

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cryptography import x509

from .files import read_file


def first_end(pem: bytes) -> float:
    """When the first of these certificates ends, in seconds since 1970; never, for those whose dates cannot be read."""
    try:
        return min(each.not_valid_after_utc.timestamp() for each in x509.load_pem_x509_certificates(pem))
    except ValueError:
        return math.inf


def first_ends(files: Mapping[str, Path | None]) -> dict[str, float]:
    """The same of PEM files, by the settings that name them. One that is not set or cannot be read is left out."""
    found = {}
    for settings, path in files.items():
        if path is not None:
            with suppress(OSError):
                found[settings] = first_end(read_file(path))
    return found
