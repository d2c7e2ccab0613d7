"""The vendor's JSON as Python values, and what counts as empty in it. Nothing here costs more than the body's length.

The standard library's decoder, not a faster one: it accepts lone surrogates, leaves repeated keys and the text of any
number, and costs some 10 µs for a result, next to several hundred for the call.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, NoReturn

MAX_DEPTH = 64
"""How deep objects and arrays may be nested. What walks them may use recursion."""

MAX_CONTAINERS = 50_000
"""How many objects and arrays there may be. The largest reply with so many has 21 bytes for each: no content fits."""

MAX_REPEATS = 8
"""How many different values of a repeated key are kept; more make it no less ambiguous."""

MAX_JSON_CHARACTERS = 10_000
"""How much of an object or an array is written as text."""

Pairs = tuple[tuple[str, Any], ...]
"""A JSON object as it is decoded, repeated keys included. Values: str, Number, bool, None, list, Pairs."""

Number = bytes
"""A number as the vendor wrote it, in ASCII: 1e999 and one of a million digits have their text, too."""

_SURROGATES = re.compile("[\ud800-\udfff]")


class NotAnObject(Exception):
    """The body is no JSON object.

    is_page: it is neither empty nor JSON within MAX_DEPTH and MAX_CONTAINERS; as a rule it is the page of a proxy or a
    firewall.
    """

    def __init__(self, *, is_page: bool) -> None:
        self.is_page = is_page
        super().__init__()


class Repeated(list[Any]):
    """The different values of a key that one object has several times: which one is meant is not known."""


class Keys:
    """The keys that a table knows. spellings: each as it is documented."""

    def __init__(self, spellings: Iterable[str]) -> None:
        self.spellings = frozenset(spellings)
        self._folded = {key.lower(): key for key in self.spellings}

    def repeated(self, pairs: Pairs) -> dict[str, Any]:
        """The values under known keys, without empty ones."""
        return _merged((key, value) for key, value in pairs if key in self.spellings)

    def near_matches(self, pairs: Pairs) -> dict[str, Any]:
        """The values whose keys are known but for letter case and spaces around them (Q17), under the known key."""
        folded = ((self._folded.get(key.strip().lower()), value) for key, value in pairs if key not in self.spellings)
        return _merged((key, value) for key, value in folded if key is not None)


class Object:
    """A JSON object.

    pairs: its content as it came. exact: its values by key, Repeated for several. near: by known key, the values whose
    keys are known but for letter case and spaces around them (Q17). An object within is Pairs until `get` or
    `near_match` returns it.
    """

    __slots__ = ("_keys", "exact", "near", "pairs")

    def __init__(self, pairs: Pairs, keys: Keys) -> None:
        self.pairs = pairs
        self.exact: dict[str, Any] = dict(pairs)
        self._keys = keys
        if len(self.exact) < len(pairs):
            self.exact.update(keys.repeated(pairs))
        # Common case: every key is known; one comparison of sets.
        self.near = _NOTHING if self.exact.keys() <= keys.spellings else keys.near_matches(pairs)

    def get(self, key: str) -> Any:
        """The value under a key, an Object for an object; None without one."""
        return self._value(self.exact, key)

    def near_match(self, key: str) -> Any:
        """The value under another spelling of a known key, an Object for an object; None without one."""
        return self._value(self.near, key)

    def _value(self, values: dict[str, Any], key: str) -> Any:
        value = values.get(key)
        if type(value) is tuple:
            value = values[key] = Object(value, self._keys)
        return value

    def objects_in(self, value: Any) -> list["Object"]:
        """The object that a value is, or the objects of an array or a repeated key: of those that `text_of` writes.

        Those of arrays within arrays are among them.
        """
        if isinstance(value, list):
            return [Object(item, self._keys) for item in _written(value) if type(item) is tuple]
        return [value] if isinstance(value, Object) else []


_NOTHING: dict[str, Any] = {}


def _written(array: list[Any]) -> Iterator[Any]:
    """The items of an array and of the arrays within it, in their order, as far as `text_of` may write them."""
    left, within = MAX_JSON_CHARACTERS, [iter(array)]
    while within and left > 0:
        for item in within[-1]:
            yield item
            # As text, an array has a character or more beside its items, and anything else three, separator included.
            left -= 1 if isinstance(item, list) else 3
            if isinstance(item, list):
                within.append(iter(item))
                break
            if left <= 0:
                break
        else:
            within.pop()


def parse(body: bytes, keys: Keys) -> Object:
    """Decodes a JSON object. Raises NotAnObject."""
    try:
        if not _is_bounded(body):
            raise NotAnObject(is_page=True)
        text = body.decode("utf-8-sig")
        document = _DECODER.decode(text)
    except ValueError:
        raise NotAnObject(is_page=bool(body.strip())) from None
    if type(document) is not tuple:
        raise NotAnObject(is_page=False)
    return Object(document, keys)


def is_empty(value: Any) -> bool:
    """Whether a value stands for an absent one: null, blank text, an object left with nothing (Q07)."""
    if value is None:
        return True
    if type(value) is str:
        return not value or value.isspace()
    if isinstance(value, Object):
        value = value.pairs
    return type(value) is tuple and all(is_empty(item) for _, item in value)


def text_of(value: Any) -> str:
    """A value as text: text and numbers whole; an object or an array as JSON, "…" in place of what is too long."""
    if type(value) is str:
        return clean(value)
    if type(value) is Number:
        return value.decode()
    pieces: list[str] = []
    _write(value.pairs if isinstance(value, Object) else value, pieces)
    text = "".join(pieces)
    return clean(text if len(text) <= MAX_JSON_CHARACTERS else f"{text[:MAX_JSON_CHARACTERS]}…")


def clean(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which no protobuf string can hold."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _merged(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """One value for each key, the empty ones left out: Repeated when there are several."""
    merged: dict[str, list[Any]] = {}
    for key, value in pairs:
        values = merged.get(key)
        if values is None:
            if not is_empty(value):
                merged[key] = [value]
        elif len(values) < MAX_REPEATS and not is_empty(value) and value not in values:
            values.append(value)
    return {key: values[0] if len(values) == 1 else Repeated(values) for key, values in merged.items()}


def _write(value: Any, pieces: list[str]) -> None:
    """Appends a value as JSON. Stops early once it is too long, for a piece is a character or more."""
    if type(value) is tuple:
        separator = "{"
        for key, item in value:
            if len(pieces) > MAX_JSON_CHARACTERS:
                return
            pieces += (separator, _ENCODER.encode(key), ": ")
            _write(item, pieces)
            separator = ", "
        pieces.append("}" if value else "{}")
    elif isinstance(value, list):
        separator = "["
        for item in value:
            if len(pieces) > MAX_JSON_CHARACTERS:
                return
            pieces.append(separator)
            _write(item, pieces)
            separator = ", "
        pieces.append("]" if value else "[]")
    else:
        pieces.append(value.decode() if type(value) is Number else _ENCODER.encode(value))


_STEPS = bytes.maketrans(b"{[}]", b"\x01\x01\xff\xff")  # as signed bytes: 1 and -1
_NO_BRACKETS = bytes(set(range(256)) - set(b"{[}]"))


def _is_bounded(body: bytes) -> bool:
    """Whether a JSON text keeps to MAX_DEPTH and MAX_CONTAINERS. Of any other text the answer has no meaning."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:  # the common case
        return True
    outside_strings = b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    steps = outside_strings.translate(_STEPS, _NO_BRACKETS)
    if len(steps) > 2 * MAX_CONTAINERS:
        return False
    return max(accumulate(memoryview(steps).cast("b")), default=0) <= MAX_DEPTH


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are Python's, not JSON's


# Each hook is a function in C: one in Python, called for every object or number, would cost several times the decoding.
_DECODER = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=str.encode, parse_float=str.encode, parse_constant=_refuse
)
_ENCODER = json.JSONEncoder(ensure_ascii=False)
