"""When certificates end, and the warnings of it in the log."""

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cryptography import x509

from ..files import read_file
from .logs import get_log

WARNING_DAYS = 14
"""Days before the end of a certificate from which on the log warns of it, once a day."""
DAY = 86_400.0


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


def warn_of_ends(ends: Mapping[str, float], now: float) -> None:
    """Logs certificates that have ended or end within WARNING_DAYS. ends: by the settings that name the files.

    All times in seconds since 1970.
    """
    for settings, end in ends.items():
        if end <= now:
            get_log().error("a certificate has ended", settings=settings, seconds=round(now - end))
        elif end < now + WARNING_DAYS * DAY:
            get_log().warning("a certificate ends soon", settings=settings, seconds=round(end - now))


def next_look(ends: Mapping[str, float], now: float) -> float:
    """When to warn again: a day later, or as soon as the next one ends."""
    return min([now + DAY, *(end for end in ends.values() if end > now)])
