"""A row of the table: a fault, what is promised, and how it is measured."""

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
    """What was measured so far. It outlives a row that breaks off, so that the table still shows how far it came."""

    figures: list[tuple[str, bool]] = field(default_factory=list)

    def saw(self, figure: str, held: bool = True) -> None:
        """Observations a figure, with its unit, and whether it is within what was promised."""
        self.figures.append((figure, held))

    @property
    def held(self) -> bool:
        """Whether everything is as promised; nothing measured is nothing held."""
        return bool(self.figures) and all(held for _, held in self.figures)

    def __str__(self) -> str:
        return "; ".join(figure if held else f"NOT {figure}" for figure, held in self.figures)


@dataclass(frozen=True, slots=True)
class FaultCase:
    """One fault. most: seconds after which measuring it is broken off, and the row does not hold."""

    name: str
    fault: str
    promised: str
    measure: Callable[[Form, Findings], Awaitable[None]]
    most: float = 30.0
