"""Readers of single values: each takes what the vendor sent, gives what our field holds, or raises Unreadable."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from .document import clean
from .quirks import Observations, Quirk, Unreadable

Reader = Callable[[Any, Observations], Any]
"""(the vendor's value, which is_empty is not; observations for the quirks met) → our field's value."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A word that the vendor uses beside the documented one. prefix: whether words that only begin so mean it, too."""

    word: str
    quirk: Quirk
    prefix: bool = False


class EnumReader:
    """Reads an enum: for each value its documented word, then others.

    Spellings are compared by their letters and digits, case-blind (Q05). Raises Unreadable for an unknown word (Q14)
    and for a value that is not text (Q19).
    """

    def __init__(self, words: Mapping[int, tuple[str | Alias, ...]]) -> None:
        self.words = words
        self._exact: dict[str, int] = {}
        self._loose: dict[str, tuple[int, Quirk]] = {}
        self._prefixes: list[tuple[str, int, Quirk]] = []
        for value, spellings in words.items():
            for spelling in spellings:
                if isinstance(spelling, str):
                    self._exact[spelling] = value
                    self._loose[letters(spelling)] = (value, Quirk.ENUM_IN_ANOTHER_SPELLING)
                elif spelling.prefix:
                    self._loose.pop(letters(spelling.word), None)
                    self._prefixes.append((letters(spelling.word), value, spelling.quirk))
                else:
                    self._loose[letters(spelling.word)] = (value, spelling.quirk)

    def __call__(self, value: Any, observations: Observations) -> int:
        if type(value) is not str:
            raise Unreadable(Quirk.VALUE_OF_WRONG_TYPE)
        if (exact := self._exact.get(value)) is not None:
            return exact
        word = letters(value)
        found = self._loose.get(word)
        if found is None:
            found = next(((enum, quirk) for start, enum, quirk in self._prefixes if word.startswith(start)), None)
        if found is None:
            raise Unreadable(Quirk.UNKNOWN_ENUM_VALUE)
        observations.quirks.add(found[1])
        return found[0]


def letters(word: str) -> str:
    """The letters and digits of a word in lower case; letters beyond ASCII stay, so that they match none."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in word if letter.isalnum())


MAX_MESSAGE_CHARACTERS = 1000
"""How much of the vendor's prose is searched; its pages say 500 at most."""

_WORD_OR_SIGN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[^A-Za-z\s_-]")


class Words:
    """Whether the vendor's prose contains, of each group of phrases, one or more.

    A phrase is words in lower case with a space between them; in the prose any spaces, hyphens, underscores or a change
    from lower to upper case separate them.
    """

    def __init__(self, *groups: tuple[str, ...]) -> None:
        self._groups = [tuple(f" {phrase} " for phrase in group) for group in groups]

    def __call__(self, prose: str) -> bool:
        words = f" {' '.join(_WORD_OR_SIGN.findall(prose[:MAX_MESSAGE_CHARACTERS]))} ".lower()
        return all(any(phrase in words for phrase in group) for group in self._groups)


class Text:
    """Reads text of any length, whole; more than the stated maximum of characters is noted (Q15)."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum

    def __call__(self, value: Any, observations: Observations) -> str:
        if type(value) is not str:
            raise Unreadable(Quirk.VALUE_OF_WRONG_TYPE)
        if len(value) > self._maximum:
            observations.quirks.add(Quirk.TEXT_TOO_LONG)
        return clean(value)


def read_flag(value: Any, observations: Observations) -> bool:
    """Reads a boolean, or the word for one (Q09)."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if type(value) is str else None
    if word not in ("true", "false"):
        raise Unreadable(Quirk.VALUE_OF_WRONG_TYPE)
    observations.quirks.add(Quirk.SUCCESS_AS_A_WORD)
    return word == "true"


_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.:](\d+))?\s*(?:([Zz])|([+-])(\d\d):?([0-5]\d))?", re.ASCII
)
_DOCUMENTED_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def read_time(value: Any, observations: Observations) -> Timestamp:
    """Reads a date-time as in RFC 3339, with what the vendor adds and leaves out (Q12); no offset means UTC.

    Raises Unreadable for a date that no calendar has, and for one outside the years 1 to 9999 in UTC (Q19).
    """
    if type(value) is str and _DOCUMENTED_TIME.fullmatch(value):
        with suppress(ValueError):
            return Timestamp(seconds=int(datetime.fromisoformat(value).timestamp()))
    match = _TIME.fullmatch(value.strip()) if type(value) is str else None
    if match is None:
        raise Unreadable(Quirk.VALUE_OF_WRONG_TYPE)
    *numbers, fraction, _, sign, hours, minutes = match.groups()
    try:
        offset = timedelta(hours=int(hours), minutes=int(minutes)) if sign else timedelta()
        year, month, day, hour, minute, second = map(int, numbers)
        zone = timezone(-offset if sign == "-" else offset)
        moment = datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable(Quirk.VALUE_OF_WRONG_TYPE) from None
    observations.quirks.add(Quirk.TIME_IN_ANOTHER_FORM)
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    return Timestamp(seconds=seconds, nanos=int((fraction or "0")[:9].ljust(9, "0")))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_reference(value: Any, observations: Observations) -> str:
    """Reads the text that stands where an object is documented: the vendor's reference (Q13)."""
    if type(value) is not str:
        raise Unreadable(Quirk.VALUE_OF_WRONG_TYPE)
    observations.quirks.add(Quirk.REFERENCE_FOR_RESULT)
    return clean(value)
