"""Readers of single values: each takes the vendor's value, returns our field's, or raises UnreadableValue."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .document import Object, clean
from .quirks import Observations, Quirk, UnreadableValue

Reader = Callable[[Any, Observations], Any]
"""(the vendor's value, which is not empty; observations for the quirks met) → our field's value."""

MAX_WORD_CHARACTERS = 200
"""A longer text is no word of an enum; its beginning may be (`Alias.prefix`)."""

MAX_PROSE_CHARACTERS = 1000
"""How much of the vendor's prose is searched; its pages state 500 at most."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A word that the vendor uses beside the documented one.

    quirk: counted when it is met. prefix: whether every word that begins so has the same meaning.
    """

    word: str
    quirk: Quirk
    prefix: bool = False


class EnumReader:
    """Reads an enum: for each value its documented word, then others.

    Words are compared by their letters and digits, case-blind. respelled: the quirk of a documented word in another
    spelling. Raises UnreadableValue for an unknown word (Q14) and for a value that is not text (Q19).
    """

    def __init__(
        self,
        words: Mapping[int, tuple[str | Alias, ...]],
        respelled: Quirk = Quirk.ENUM_IN_ANOTHER_SPELLING,
    ) -> None:
        self.words = words
        self._exact: dict[str, int] = {}
        self._loose: dict[str, tuple[int, Quirk]] = {}
        self._prefixes: list[tuple[str, int, Quirk]] = []
        for value, spellings in words.items():
            for spelling in spellings:
                if isinstance(spelling, str):
                    self._exact[spelling] = value
                    self._loose[letters_and_digits(spelling)] = value, respelled
                elif spelling.prefix:
                    self._prefixes.append((letters_and_digits(spelling.word), value, spelling.quirk))
                else:
                    self._loose[letters_and_digits(spelling.word)] = value, spelling.quirk

    def __call__(self, value: Any, observations: Observations) -> int:
        if type(value) is not str:
            raise UnreadableValue(Quirk.VALUE_OF_WRONG_TYPE)
        if (exact := self._exact.get(value)) is not None:
            return exact
        text = value.strip()
        word = letters_and_digits(text[:MAX_WORD_CHARACTERS])
        found = self._loose.get(word) if len(text) <= MAX_WORD_CHARACTERS else None
        if found is None:
            found = next(((enum, quirk) for start, enum, quirk in self._prefixes if word.startswith(start)), None)
        if found is None:
            raise UnreadableValue(Quirk.UNKNOWN_ENUM_VALUE)
        observations.quirks.add(found[1])
        return found[0]


def letters_and_digits(word: str) -> str:
    """The letters and digits of a word in lower case; letters beyond ASCII stay, so that they match none."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in word if letter.isalnum())


class PhraseFinder:
    """Finds phrases in the vendor's prose: whether it contains, of each group, one or more.

    A phrase is words in lower case with a space between them; in the prose any spaces, hyphens, underscores or a change
    from lower to upper case separate them.
    """

    _WORD_OR_SIGN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[^A-Za-z\s_-]")

    def __init__(self, *groups: tuple[str, ...]) -> None:
        self._groups = [tuple(f" {phrase} " for phrase in group) for group in groups]

    def __call__(self, prose: str) -> bool:
        words = f" {' '.join(self._WORD_OR_SIGN.findall(prose[:MAX_PROSE_CHARACTERS]))} ".lower()
        return all(any(phrase in words for phrase in group) for group in self._groups)


class Text:
    """Reads text of any length, whole; more than the stated maximum of characters is counted (Q15)."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum

    def __call__(self, value: Any, observations: Observations) -> str:
        if type(value) is not str:
            raise UnreadableValue(Quirk.VALUE_OF_WRONG_TYPE)
        if len(value) > self._maximum:
            observations.quirks.add(Quirk.TEXT_TOO_LONG)
        return clean(value)


def read_flag(value: Any, observations: Observations) -> bool:
    """Reads a boolean, or the word for one in any case, with blanks around it (Q09).

    Not 0, 1, "yes" or "no": a cancel must not be taken for done by a guess, and a read does not need the flag.
    """
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if type(value) is str else None
    if word not in {"true", "false"}:
        raise UnreadableValue(Quirk.VALUE_OF_WRONG_TYPE)
    observations.quirks.add(Quirk.SUCCESS_AS_A_WORD)
    return word == "true"


def read_reference(value: Any, observations: Observations) -> str:
    """Reads the text in place of a documented object: the vendor's reference (Q13)."""
    if type(value) is not str:
        raise UnreadableValue(Quirk.VALUE_OF_WRONG_TYPE)
    observations.quirks.add(Quirk.REFERENCE_FOR_RESULT)
    return clean(value)


def read_object(value: Any, observations: Observations) -> Object:
    """Reads an object, whole. Raises UnreadableValue for anything else (Q19)."""
    if not isinstance(value, Object):
        raise UnreadableValue(Quirk.VALUE_OF_WRONG_TYPE)
    return value
