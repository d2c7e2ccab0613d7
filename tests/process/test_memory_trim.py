"""Freed memory goes back to the operating system when there is much of it."""

import sys

import pytest

from server.process.memory_trim import GROWTH_BYTES, INTERVAL, MAX_INTERVAL, TrimSchedule, glibc_trim, resident_bytes

MB = 1 << 20


def test_memory_is_trimmed_while_it_has_grown() -> None:
    """By more than GROWTH_BYTES since its least, whenever that was. The figures are MB."""
    schedule = TrimSchedule()
    assert GROWTH_BYTES == 32 * MB
    seen = [schedule.has_grown(each * MB) for each in (80, 112, 113, 60, 93, 92)]
    assert seen == [False, False, True, False, True, False]


def test_what_is_in_use_is_looked_at_ever_more_seldom() -> None:
    """A trim that returns nothing costs time; as soon as one returns what had grown, looks are frequent again."""
    schedule = TrimSchedule()
    pauses = [schedule.next_after(each * MB) for each in (80, 500, 500, 500, 500, 90, 500)]
    assert pauses == [INTERVAL, 10, 20, MAX_INTERVAL, MAX_INTERVAL, INTERVAL, 10]


@pytest.mark.skipif(sys.platform != "linux" or glibc_trim() is None, reason="needs glibc")
def test_a_trim_returns_what_was_freed_below_what_is_in_use() -> None:
    """Blocks that are too small for a mapping of their own, with one in use above them."""
    trim = glibc_trim()
    assert trim is not None
    blocks = [bytearray(8000) for _ in range(10_000)]
    for block in blocks:
        block[:] = b"x" * 8000
    before, last = resident_bytes(), blocks[-1]
    del blocks, block
    trim()
    assert resident_bytes() < before - 60 * MB
    assert last
