"""Latencies in buckets that grow by an eighth each: small enough to store, fine enough to draw."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

PER_DECADE = 20
"""Buckets between one second and ten."""
SHORTEST = 1e-6
"""Seconds; anything shorter counts as this."""

Histogram = Mapping[int, int]
"""How many latencies each bucket has, by its number; buckets without any are left out."""


def bucket_of(seconds: float) -> int:
    """The number of the bucket for a latency; 0 begins at one second."""
    # Rounded, so that an edge belongs to the bucket that begins there.
    return math.floor(round(math.log10(max(seconds, SHORTEST)) * PER_DECADE, 9))


def edge(bucket: int) -> float:
    """Where a bucket begins, in seconds; the one before it ends there."""
    return float(10.0 ** (bucket / PER_DECADE))


def histogram(latencies: Iterable[float]) -> dict[int, int]:
    """Sorts latencies, in seconds, into buckets."""
    return dict(sorted(Counter(map(bucket_of, latencies)).items()))


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least that share of all does not exceed; None without values. ordered: ascending."""
    if not ordered:
        return None
    return ordered[max(math.ceil(round(share * len(ordered), 9)), 1) - 1]
