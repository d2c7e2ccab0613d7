"""Numbers, times and sizes as the status page writes them."""

from datetime import UTC, datetime

DAY = 86_400.0


def number(value: float) -> str:
    """A whole number, its thousands apart."""
    return f"{round(value):,}".replace(",", "\u2009")


def duration(seconds: float) -> str:
    """Seconds in the two largest units that say something."""
    whole = max(round(seconds), 0)
    for unit, size, smaller, part in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def milliseconds(seconds: float | None) -> str:
    """Seconds as milliseconds; a dash for nothing."""
    return "–" if seconds is None else f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def moment(timestamp: float) -> str:
    """Seconds since 1970 as a date and a time."""
    try:
        return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):  # of a certificate without dates
        return "–"


def size_of(count: float) -> str:
    """Bytes in the largest unit of which there is one."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}".replace(".0 ", " ")
    return f"{count:.0f} bytes"


def share(part: float, whole: float) -> str:
    """A part in percent; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "–"
