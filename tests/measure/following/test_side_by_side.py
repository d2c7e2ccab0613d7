"""Polling and watching side by side: a small run of each, and what counts as missed."""

from dataclasses import replace

import pytest

from measure.following.__main__ import goals_missed
from measure.following.side_by_side import POLLING, WATCHING, WAYS, WEBHOOK, Followed, Form, follow, table

FORM = Form(callers=20, ids=2, seconds=1.0, warm_up=1.0)


async def test_callers_follow_a_gateway() -> None:
    """Each sees the change of its call request."""
    followed = await follow(POLLING, FORM)
    assert len(followed.called) == len(followed.completed) == FORM.callers / 2
    assert followed.missing == 0
    assert followed.vendor_calls > 0
    assert min(followed.called + followed.completed) >= 0


def some(way: str, cpu: float, late: float = 1.0, missing: int = 0) -> Followed:
    return Followed(way, Form(), cpu, 100, [late], [late], missing)


def judged(**changed: Followed) -> list[str]:
    usual = {POLLING: some(POLLING, 100.0), WATCHING: some(WATCHING, 5.0), WEBHOOK: some(WEBHOOK, 5.0, 0.01)}
    return goals_missed(usual | {each.way: each for each in changed.values()})


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        pytest.param(some(WATCHING, 10.0), None, id="a tenth of the CPU"),
        pytest.param(some(WATCHING, 11.0), "of the CPU of polling", id="more than a tenth"),
        pytest.param(some(WATCHING, 5.0, 3.4), "at the median", id="later than half a pace"),
        pytest.param(some(WEBHOOK, 5.0, 0.2), "at the median", id="a push later than 100 ms"),
        pytest.param(some(WATCHING, 5.0, 1.0, 1), "changes not seen", id="a change not seen"),
    ],
)
def test_what_is_missed_has_a_line(changed: Followed, missed: str | None) -> None:
    """Nothing else has."""
    lines = judged(changed=changed)
    assert len(lines) == (missed is not None)
    assert missed is None or missed in lines[0]


def test_the_table_has_a_line_for_each_way() -> None:
    """A way that saw no change has none."""
    lines = table([replace(some(way, 1.0), called=[]) for way in WAYS]).splitlines()
    assert len(lines) == 5
    assert all("| — |" in line for line in lines[2:])
