"""Scales: from values to pixels, with the values to write at an axis."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Linear:
    """Zero is at start, high at end."""

    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + value / self.high * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values from zero on, at most so many beyond it."""
        least = self.high / most
        power = 10.0 ** math.floor(math.log10(least))
        step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= least * 0.999)
        return [number * step for number in range(int(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True, slots=True)
class Log:
    """low is at start, high at end; each factor takes the same room. Values below low are where low is."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self) -> list[float]:
        """The powers of ten; with two and five times them where there are few."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        few = math.log10(self.high / self.low) < 1.5
        values = [factor * 10.0**power for power in decades for factor in ((1, 2, 5) if few else (1,))]
        return [value for value in values if self.low * 0.999 <= value <= self.high * 1.001]
