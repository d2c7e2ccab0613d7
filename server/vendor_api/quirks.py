"""The vendor's quirks by number, and what one reply taught us of them."""

from enum import StrEnum


class Quirk(StrEnum):
    """Where the vendor does what its pages do not say, or say in two ways.

    A new one is a number here, its rows in mapping.py and a payload in tests/vendor_api/recorded: all three or none.
    """

    MISSPELT_STATUS_KEY = "Q01"
    RESULT_OR_RESULTS = "Q02"
    ID_UNDER_ANOTHER_KEY = "Q03"
    CANCELLED_AT_UNDER_ANOTHER_KEY = "Q04"
    ENUM_IN_ANOTHER_SPELLING = "Q05"
    STATUS_IN_ANOTHER_WORD = "Q06"
    EMPTY_FOR_ABSENT = "Q07"
    ACTION_IN_ANOTHER_WORD = "Q08"
    SUCCESS_AS_A_WORD = "Q09"
    ERROR_BODY_AND_FLAG_OR_STATUS_DISAGREE = "Q10"
    REQUIRED_FIELD_MISSING = "Q11"
    TIME_IN_ANOTHER_FORM = "Q12"
    REFERENCE_FOR_RESULT = "Q13"
    UNKNOWN_ENUM_VALUE = "Q14"
    TEXT_TOO_LONG = "Q15"
    RESULT_AND_STATUS_DISAGREE = "Q16"
    KEY_IN_ANOTHER_CASE = "Q17"
    ID_MISSING_OR_ANOTHER = "Q18"
    VALUE_OF_WRONG_TYPE = "Q19"


class Unreadable(Exception):
    """A value that a reader cannot read, and the quirk that it is."""

    def __init__(self, quirk: Quirk) -> None:
        self.quirk = quirk
        super().__init__(quirk)


class Observations:
    """What was met while one reply was read: quirks, and values not recognised as (our field, the vendor's text)."""

    __slots__ = ("quirks", "unrecognized")

    def __init__(self) -> None:
        self.quirks: set[Quirk] = set()
        self.unrecognized: list[tuple[str, str]] = []
