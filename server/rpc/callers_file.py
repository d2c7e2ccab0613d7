"""The file of who may call what: TOML, read strictly. Errors name what is wrong without repeating what the file holds.

[[caller]]
name = "billing"
certificate = "spiffe://example.com/billing"  # or token_sha256 = "…"; or a list of them
may = ["read", "cancel"]
max_per_second = 50  # optional
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import BrokenFileError, read_file, why_unreadable

READ, CANCEL = "read", "cancel"

ANONYMOUS, UNKNOWN = "anonymous", "unknown"
"""In logs and metrics: who calls when there is no file, and whoever is not in it. No caller may have such a name."""

URI, DNS = "URI", "DNS"
"""The kinds of a certificate's names that identify a caller. Common names and others never do."""

MAX_BYTES = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,2000}")
_DNS = re.compile(r"[A-Za-z0-9*_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_KEYS = {"name", "certificate", "token_sha256", "may", "max_per_second"}
_MIN_RATE, _MAX_RATE = 0.001, 1_000_000


@dataclass(frozen=True, slots=True)
class Caller:
    """A known caller. may: its permissions, READ and CANCEL. max_per_second: calls to this process; None: no limit."""

    name: str
    may: frozenset[str]
    max_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The callers of a file.

    by_san: by the kind and the text of a name in their certificate, DNS in lower case. by_digest: by the SHA-256 of
    their token, hex in lower case.
    """

    by_san: Mapping[tuple[str, str], Caller] = field(repr=False)
    by_digest: Mapping[str, Caller] = field(repr=False)

    @property
    def callers(self) -> set[Caller]:
        """All callers of the file."""
        return {*self.by_san.values(), *self.by_digest.values()}


def read_rules(path: Path) -> Rules:
    """Reads the file. Raises BrokenFileError."""
    try:
        content = read_file(path)
    except OSError as error:
        raise BrokenFileError(why_unreadable(error)) from None
    if len(content) > MAX_BYTES:
        raise BrokenFileError("holds more than 1 MiB")
    try:
        document = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BrokenFileError(f"line {line}: is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        # Only the place: the parser's text may repeat what the file holds.
        place = re.search(r"\(at (line \d+)", str(error))
        raise BrokenFileError(f"{place[1] if place else 'its end'}: is not TOML") from None
    tables = document.get("caller")
    # A file that was emptied or cut off must not lock everyone out.
    if document.keys() != {"caller"} or not isinstance(tables, list) or not tables:
        raise BrokenFileError("must hold [[caller]] tables, at least one, and nothing else")
    return _rules(tables)


def _rules(tables: list[Any]) -> Rules:
    names: set[str] = set()
    by_san: dict[tuple[str, str], Caller] = {}
    by_digest: dict[str, Caller] = {}
    for number, table in enumerate(tables, 1):
        where, caller = _caller(number, table)
        if caller.name in names:
            raise BrokenFileError(f"{where}: has the name of another caller")
        names.add(caller.name)
        # Known by both could be read as: must have both.
        if ("certificate" in table) == ("token_sha256" in table):
            raise BrokenFileError(f"{where}: needs either certificate or token_sha256")
        if "certificate" in table:
            _add(by_san, {_san(text, where) for text in _texts(table, "certificate", where)}, caller, where)
        else:
            _add(by_digest, {_digest(text, where) for text in _texts(table, "token_sha256", where)}, caller, where)
    return Rules(by_san, by_digest)


def _caller(number: int, table: Any) -> tuple[str, Caller]:
    where = f"caller {number}"
    name = table.get("name") if isinstance(table, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BrokenFileError(f"{where}: needs a name, 1 to 64 of A-Z a-z 0-9 . _ -")
    where += f" ({name})"
    if name in (ANONYMOUS, UNKNOWN):
        raise BrokenFileError(f"{where}: no caller can have this name")
    if not table.keys() <= _KEYS:
        raise BrokenFileError(f"{where}: may only hold name, certificate, token_sha256, may and max_per_second")
    may = table.get("may")
    if not isinstance(may, list) or not all(each in (READ, CANCEL) for each in may):
        raise BrokenFileError(f'{where}: may must be a list of "read" and "cancel"')
    return where, Caller(name, frozenset(may), _rate(table.get("max_per_second"), where))


def _rate(value: Any, where: str) -> float | None:
    if value is None:
        return None
    # A bool is an int, and neither NaN nor an infinity lies between the bounds.
    if isinstance(value, bool) or not isinstance(value, int | float) or not _MIN_RATE <= value <= _MAX_RATE:
        raise BrokenFileError(f"{where}: max_per_second must be a number from {_MIN_RATE} to {_MAX_RATE}")
    return float(value)


def _texts(table: Mapping[str, Any], key: str, where: str) -> list[str]:
    """One text or a list of them, so that the old and the new are both good while callers change over."""
    texts = table[key] if isinstance(table[key], list) else [table[key]]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise BrokenFileError(f"{where}: {key} must be a text or a list of texts")
    return texts


def _san(text: str, where: str) -> tuple[str, str]:
    if _URI.fullmatch(text):
        return URI, text
    if _DNS.fullmatch(text):
        return DNS, text.lower()
    raise BrokenFileError(f"{where}: certificate must be a URI or a DNS name, as the certificate's SAN has it")


def _digest(text: str, where: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise BrokenFileError(f"{where}: token_sha256 must be 64 hexadecimal digits")
    return text.lower()


def _add(known: dict[Any, Caller], keys: set[Any], caller: Caller, where: str) -> None:
    if known.keys() & keys:
        raise BrokenFileError(f"{where}: has the certificate or the token of another caller")
    known |= dict.fromkeys(keys, caller)
