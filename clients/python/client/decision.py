"""The four decisions that a caller has after a failed call."""

from enum import Enum


class Decision(Enum):
    """What to do after a failure."""

    FIX_REQUEST = "It fails again as it is: correct the request."
    RETRY_LATER = "Repeat it later, a few times."
    READ_RESULT = "Read the result: it shows what became of the call request."
    ALERT_OPERATORS = "No program can correct it."
