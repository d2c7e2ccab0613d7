"""What a check has found."""

from dataclasses import dataclass
from typing import Literal, Self

State = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of one check. text: what is well; what to do; or why the check was skipped. Never a secret."""

    check: str
    state: State
    text: str

    @classmethod
    def ok(cls, check: str, text: str) -> Self:
        return cls(check, "ok", text)

    @classmethod
    def failed(cls, check: str, text: str) -> Self:
        return cls(check, "failed", text)

    @classmethod
    def skipped(cls, check: str, text: str) -> Self:
        return cls(check, "skipped", text)
