"""The vendor's quirks by number, and what was observed in one reply."""

from enum import StrEnum
from typing import Self


class Quirk(StrEnum):
    """Where the vendor differs from its pages, or where its pages differ from each other.

    sentence: what the vendor does, for docs/metrics.md. A new quirk is a number here, the keys, words or readers in
    mapping.py that count it, a payload in tests/vendor_api/recorded and a call request in sandbox/seed_quirks.py.
    """

    sentence: str

    def __new__(cls, number: str, sentence: str) -> Self:
        quirk = str.__new__(cls, number)
        quirk._value_ = number
        quirk.sentence = sentence
        return quirk

    MISSPELT_STATUS_KEY = "Q01", "sends the status under the key `callRequetStatus`"
    RESULT_OR_RESULTS = "Q02", "sends a read's object under `results`, or a cancel's under `result`"
    ID_UNDER_ANOTHER_KEY = "Q03", "sends the id under another key than `callRequestId`"
    CANCELLED_AT_UNDER_ANOTHER_KEY = "Q04", "sends the time of a cancel under another key than `cancelled_at`"
    ENUM_IN_ANOTHER_SPELLING = (
        "Q05",
        "sends an enum's word in another case, with spaces or other signs, or misspelt",
    )
    STATUS_IN_ANOTHER_WORD = "Q06", "sends another word for a status: `processed`, `CANCELED`"
    EMPTY_FOR_ABSENT = "Q07", "sends an empty text or an empty object for an absent one"
    ACTION_IN_ANOTHER_WORD = "Q08", "sends another word for an action, or a part of one"
    SUCCESS_AS_A_WORD = "Q09", "sends `success` as text, not as a boolean"
    ERROR_BODY_AND_FLAG_OR_STATUS_DISAGREE = (
        "Q10",
        "sends an error body without `success: false`, or with an HTTP status below 400",
    )
    REQUIRED_FIELD_MISSING = "Q11", "leaves out a field of the outcome that is required"
    TIME_IN_ANOTHER_FORM = (
        "Q12",
        "sends a time in another form: without seconds, with a fraction, with an offset, without any zone",
    )
    REFERENCE_FOR_RESULT = "Q13", "sends a reference as text in place of a cancel's object"
    UNKNOWN_ENUM_VALUE = (
        "Q14",
        "sends an enum's word that is not in the tables; the word is passed on in `unrecognized_values`",
    )
    TEXT_TOO_LONG = "Q15", "sends a text longer than its stated maximum; it is passed on whole"
    RESULT_AND_STATUS_DISAGREE = "Q16", "sends an outcome with a status other than COMPLETED, or COMPLETED without one"
    KEY_IN_ANOTHER_CASE = "Q17", "sends a key in another case, or with spaces around it"
    ID_MISSING_OR_ANOTHER = (
        "Q18",
        "leaves out the id of a reply, or sends another id; the latter is VENDOR_MALFORMED_RESPONSE",
    )
    VALUE_OF_WRONG_TYPE = (
        "Q19",
        "sends a value of the wrong type or a time that cannot be read; the field stays unset, the value is passed on "
        "in `unrecognized_values`",
    )


class UnreadableValue(Exception):
    """A value that its reader cannot read. quirk: what kind of value it is."""

    def __init__(self, quirk: Quirk) -> None:
        self.quirk = quirk
        super().__init__(quirk)


class Observations:
    """What was found while one reply was read: quirks, and values not recognised as (our field, the vendor's text)."""

    __slots__ = ("quirks", "unrecognized")

    def __init__(self) -> None:
        self.quirks: set[Quirk] = set()
        self.unrecognized: list[tuple[str, str]] = []
