"""Replies of any size, in every shape that could cost more than its length."""

import json
from collections.abc import Callable

from testkit.scripted_vendor import RESULT_ID

PATHS = (
    *(
        "success",
        "callRequestId",
        "callRequstId",
        "callRequestStatus",
        "callRequetStatus",
        "result",
        "results",
        "error",
    ),
    *("error.code", "error.message", "cancelled_at", "results.cancelledAt", "result.callRequestId", "anything"),
    *("result.callType", "result.callStatus", "result.statusReasonCategory", "result.statusReason"),
    *("result.outcomeSummary", "result.outcomeDetails", "result.dialTime", "result.recipientName"),
    *("result.hotelConfirmationId", "result.anything", "result.actionRequired", "result.actionRequired.action"),
    *("result.actionRequired.email", "result.actionRequired.fax", "result.result"),
)
"""Where a value is put, by the vendor's keys."""


def _text(unit: str, before: str = "", after: str = "") -> Callable[[int], str]:
    """A JSON string of a repeated unit, which is written as it stands between the quotes."""
    return lambda size: f'"{before}{unit * (size // len(unit.encode()))}{after}"'


def _array(unit: str) -> Callable[[int], str]:
    return lambda size: f"[{','.join([unit] * (size // (len(unit) + 1)))}]"


def _object(pair: Callable[[int], str]) -> Callable[[int], str]:
    return lambda size: f"{{{','.join(pair(number) for number in range(size // (len(pair(10_000)) + 1)))}}}"


def _nested(begin: str, end: str, depth: int) -> str:
    return begin * depth + "0" + end * depth


VALUES: dict[str, Callable[[int], str]] = {
    "letters": _text("x"),
    "blanks": _text(" "),
    "blanks around a letter": lambda size: f'"{" " * (size // 2)}x{" " * (size // 2)}"',
    "signs": _text("-"),
    "escaped quotes": _text('\\"'),
    "escaped backslashes": _text("\\\\"),
    "escaped letters": _text("\\u0041"),
    "lone surrogates": _text("\\ud800"),
    "reversed surrogates": _text("\\udc00\\ud800"),
    "pairs of surrogates": _text("\\ud83d\\ude00"),
    "three bytes": _text("\u20ac"),
    "combining": _text("e\u0301"),
    "brackets in text": _text("[{"),
    "a word and more": _text("_X", before="RESEND_PAYMENT"),
    "a word after signs": _text("-", after="COMPLETED"),
    "check in": _text("check in "),
    "check and blanks": _text(" ", before="check", after="in the past"),
    "past": _text("past-"),
    "fraction": _text("1", before="2025-06-03T10:10:00.", after="Z"),
    "fraction without an end": _text("1", before="2025-06-03T10:10:00.", after="x"),
    "blanks in a time": _text(" ", before="2025-06-03T10:10:00", after="Z"),
    "zone": _text("a/", before="2025-06-03T10:10:00Z[", after="]"),
    "name of a zone": _text("(", before="Tue Jun 03 2025 10:10:00 GMT+0000 ("),
    "milliseconds": _text("1", before="/Date(", after=")/"),
    "a number of many digits": lambda size: "1" * size,
    "a fraction of many digits": lambda size: f"0.{'1' * size}",
    "an exponent of many digits": lambda size: f"1e{'9' * size}",
    "numbers": _array("0"),
    "fractions": _array("1.5"),
    "empty texts": _array('""'),
    "empty arrays": _array("[]"),
    "empty objects": _array("{}"),
    "small objects": _array('{"":0}'),
    "ids": _array(f'{{"callRequestId":"{RESULT_ID}"}}'),
    "nested to the bound": _array(_nested("[", "]", 60)),
    "objects nested to the bound": _array(_nested('{"a":', "}", 60)),
    "arrays beyond the bound": lambda size: _nested("[", "]", size // 2),
    "objects beyond the bound": lambda size: _nested('{"a":', "}", size // 6),
    "results in results": lambda size: _nested('{"result":', "}", 61),
    "many keys": _object(lambda number: f'"{number:06x}":0'),
    "many empty values": _object(lambda number: f'"{number:06x}":""'),
    "many empty objects": _object(lambda number: f'"{number:06x}":{{}}'),
    "one key, one value": _object(lambda number: '"a":0'),
    "one key, many values": _object(lambda number: f'"a":{number}'),
    "known key, one value": _object(lambda number: '"callRequestStatus":"COMPLETED"'),
    "known key, many values": _object(lambda number: f'"callType":{number}'),
    "known key, empty values": _object(lambda number: '"callType":""'),
    "known key, equal objects": _object(lambda number: '"result":{"a":[0,{"b":1}]}'),
    "known key, objects": _object(lambda number: f'"result":{{"a":{number}}}'),
    "known key, long texts": lambda size: f'{{"email":"{"x" * (size // 2)}","email":"{"x" * (size // 2)}"}}',
    "keys in another case": _object(lambda number: f'"{" " * (number % 40)}CALLTYPE":{number}'),
    "keys nearly known": _object(lambda number: f'"callType{number:x}":""'),
    "a long key": lambda size: f'{{"{"k" * size}":0}}',
    "a known key among blanks": lambda size: f'{{"{" " * size}callType":"BOOKING_VERIFICATION"}}',
    "ids under one key": _object(lambda number: f'"callRequestId":"{number}"'),
}
"""JSON values by what they are made of, of so many bytes or fewer."""

BROKEN: dict[str, Callable[[int], str]] = {
    "quotes": lambda size: '"' * size,
    "backslashes": lambda size: "\\" * size,
    "a text without an end": lambda size: '{"a":"' + '\\"' * (size // 2),
    "objects without an end": lambda size: '{"a":' * (size // 5),
    "arrays without an end": lambda size: "[" * size,
    "blanks": lambda size: " " * size,
    "a page": lambda size: "<p>" * (size // 3),
    "commas": lambda size: "[" + "," * size,
    "NaN": lambda size: f"[{','.join(['NaN'] * (size // 4))}]",
    "many closed": lambda size: "]" * size,
}
"""Bodies that are no JSON."""


def reply(path: str, value: str) -> str:
    """A reply with a JSON value at a path; all else in it is as it should be."""
    document = {"success": "true", "callRequestStatus": '"COMPLETED"'}
    if path.startswith("error"):
        document = {"success": "false"}
    *parents, key = path.split(".")
    for parent in reversed(parents):
        value, key = f'{{"{key}":{value}}}', parent
    document[key] = value
    return f"{{{','.join(f'{json.dumps(name)}:{text}' for name, text in document.items())}}}"
