"""How figures are written for people: three digits that count, and the unit that suits, never on a line of its own."""

_NO_FIGURE = "–"


def number(value: float | None) -> str:
    """A count or a rate: 41,230, 312, 4.2, 0.012."""
    if value is None:
        return _NO_FIGURE
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def duration(seconds: float | None) -> str:
    """A duration: 85 µs, 1.24 ms, 53.1 ms, 1.2 s."""
    if seconds is None:
        return _NO_FIGURE
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if round(seconds, 7) >= size:
            return f"{_three_digits(seconds / size)}\u00a0{unit}"
    return f"{seconds * 1e6:.0f}\u00a0µs"


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    text = f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".")


def change(now: float | None, before: float | None) -> str | None:
    """How much more or less it is than before: +4 %, −12 %, 3.1 ×; None when there is nothing to compare."""
    if now is None or not before:
        return None
    ratio = now / before
    if ratio >= 2:
        return f"{ratio:.1f}\u00a0×"
    percent = round((ratio - 1) * 100)
    return "±0\u00a0%" if percent == 0 else f"{'+' if percent > 0 else '−'}{abs(percent)}\u00a0%"
