"""The vendor's JSON as Python values, and what counts as empty in it.

The standard library's reader, not a faster one: it takes lone surrogates, tells repeated keys, hands numbers over as
text, and costs some 10 µs for a result, next to several hundred for the call.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn

Object = dict[str, Any]
"""A JSON object. Its values: Object, list, str, Number, bool, None, Repeated."""

_SURROGATES = re.compile("[\ud800-\udfff]")


class NotAnObject(Exception):
    """The body is no JSON object.

    is_page: it is neither empty nor JSON; as a rule the page of a proxy or a firewall.
    """

    def __init__(self, *, is_page: bool) -> None:
        self.is_page = is_page
        super().__init__()


class Number(str):
    """A number as the vendor wrote it: 1e999 and one of a million digits have their text, too."""

    __slots__ = ()


class Repeated(list[Any]):
    """The different values of a key that one object has several times: nobody can say which is meant."""


def parse(body: bytes) -> Object:
    """Reads a JSON object. Raises NotAnObject."""
    try:
        document = _DECODER.decode(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise NotAnObject(is_page=bool(body.strip())) from None
    if not isinstance(document, dict):
        raise NotAnObject(is_page=False)
    return document


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: null, blank text, an object left with nothing (Q07)."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace()
    return isinstance(value, dict) and all(map(is_empty, value.values()))


def text_of(value: Any) -> str:
    """The vendor's text of a value: JSON, unless it was text."""
    return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def clean(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which no protobuf string can hold."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


class Keys:
    """The keys that a table knows. spellings: each as it is documented."""

    def __init__(self, spellings: Iterable[str]) -> None:
        self.spellings = frozenset(spellings)
        self._folded = {key.lower(): key for key in self.spellings}

    def near_matches(self, document: Object) -> Object:
        """The values whose keys are known but for letter case and spaces around them (Q17), under the known key."""
        if document.keys() <= self.spellings:  # nearly always, and told in no time
            return {}
        found: Object = {}
        for key, value in document.items():
            name = self._folded.get(key.strip().lower(), key)
            if name != key and is_empty(found.get(name)):
                found[name] = value
        return found


def _object(pairs: list[tuple[str, Any]]) -> Object:
    document = dict(pairs)
    if len(document) < len(pairs):
        said: dict[str, list[Any]] = {key: [] for key in document}
        for key, value in pairs:
            if not is_empty(value) and value not in said[key]:
                said[key].append(value)
        for key, values in said.items():
            if values:
                document[key] = values[0] if len(values) == 1 else Repeated(values)
    return document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are Python's, not JSON's


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_refuse)
