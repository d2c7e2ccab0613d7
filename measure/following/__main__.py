"""`python -m measure.following`: polling and watching side by side; exits with 1 when a goal is not reached."""

import argparse
import asyncio
import math
import os
import resource
import sys
from datetime import UTC, datetime
from statistics import median

import uvloop

from measure.loadtest.machine import machine

from .side_by_side import (
    IN_PROGRESS_PACE,
    PENDING_PACE,
    POLLING,
    WATCHING,
    WAYS,
    WEBHOOK,
    Followed,
    Form,
    follow,
    table,
)

MOST_CPU = 1 / 10
"""Of what polling takes, for a caller that watches."""
MARGIN, MOST_LATE_PUSHED = 0.05, 0.1
"""Seconds from a change to a caller that watches, at the median: half a pace and so much; of one that is pushed."""
_MAX_FILES = 20_000
_FORM = Form()


def main() -> None:
    """Prints the table and the goals."""
    parser = argparse.ArgumentParser(prog="python -m measure.following", description="Polling and watching, compared")
    parser.add_argument("--callers", type=int, default=_FORM.callers, help="how many (%(default)s)")
    parser.add_argument("--ids", type=int, default=_FORM.ids, help="call requests that they follow (%(default)s)")
    parser.add_argument("--seconds", type=float, default=_FORM.seconds, help="for each way (%(default)s)")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _MAX_FILES) if hard > 0 else _MAX_FILES, hard))
    form = Form(options.callers, options.ids, options.seconds)
    followed = {way: uvloop.run(_pinned(way, form)) for way in WAYS}
    missed = list(goals_missed(followed))
    made = f"{datetime.now(UTC):%Y-%m-%d}, {', '.join(machine())}; {form.callers} callers, {form.ids} call requests."
    sys.stdout.write("\n".join([made, "", table(list(followed.values())), "", *missed, ""]))
    sys.exit(1 if missed else 0)


def goals_missed(followed: dict[str, Followed]) -> list[str]:
    """A line for each."""
    form = followed[POLLING].form
    polling, watching, pushed = (followed[way] for way in (POLLING, WATCHING, WEBHOOK))
    lines = []
    for each in (watching, pushed):
        if each.cpu_each > MOST_CPU * polling.cpu_each:
            lines.append(f"{each.way}: {each.cpu_each / polling.cpu_each:.2f} of the CPU of polling, not {MOST_CPU}")
        if each.missing:
            lines.append(f"{each.way}: {each.missing} changes not seen")
    for each, late, most in (
        (watching, watching.called, PENDING_PACE / 2 + MARGIN + _doubt(PENDING_PACE, form)),
        (watching, watching.completed, IN_PROGRESS_PACE / 2 + MARGIN + _doubt(IN_PROGRESS_PACE, form)),
        (pushed, pushed.completed, MOST_LATE_PUSHED),
    ):
        if median(late) > most:
            lines.append(f"{each.way}: {median(late):.3f} s from a change to a caller at the median, not {most:.3f}")
    return lines


def _doubt(pace: float, form: Form) -> float:
    """Two standard errors of the median of what is even over a pace, for half of the call requests."""
    return pace / math.sqrt(form.ids / 2)


async def _pinned(way: str, form: Form) -> Followed:
    """With the gateway on a core, and all else on the others, if there are any."""
    # Connections that are cut at the end raise in callbacks that nothing awaits.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    core, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, others or [core])
    try:
        return await follow(way, form, core=core)
    finally:
        os.sched_setaffinity(0, [core, *others])


if __name__ == "__main__":
    main()
