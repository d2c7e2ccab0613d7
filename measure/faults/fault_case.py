"""A case of the fault suite: a fault, the promise under it, and the function that measures whether it holds."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Form:
    """long: with the full times and numbers; else the short form, for CI."""

    long: bool = False

    def of(self, short: _Value, long: _Value) -> _Value:
        """The value of this form."""
        return long if self.long else short


@dataclass(slots=True)
class Findings:
    """The figures measured so far. They survive a case that is interrupted: the report shows how far it came."""

    figures: list[tuple[str, bool]] = field(default_factory=list)

    def record(self, figure: str, held: bool = True) -> None:
        """Adds a figure, with its unit, and whether it is within the promise."""
        self.figures.append((figure, held))

    @property
    def held(self) -> bool:
        """Whether every figure is within the promise. False when nothing was measured."""
        return bool(self.figures) and all(held for _, held in self.figures)

    def __str__(self) -> str:
        return "; ".join(figure if held else f"NOT {figure}" for figure, held in self.figures)


@dataclass(frozen=True, slots=True)
class FaultCase:
    """One fault and its promise.

    name: unique, of a–z, 0–9 and hyphens. timeout: seconds after which the measurement is ended, and the case fails.
    lacking: returns what this machine lacks for it; empty: nothing.
    """

    name: str
    fault: str
    promise: str
    measure: Callable[[Form, Findings], Awaitable[None]]
    timeout: float = 30.0
    lacking: Callable[[], str] = str

    @property
    def line(self) -> str:
        """Its line in docs/faults.md."""
        return f"| {self.name} | {self.fault} | {self.promise} |"
