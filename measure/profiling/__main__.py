"""`python -m measure.profiling` profiles both kinds of call and prints a table for each; exits with 2 if it cannot."""

import argparse
import os
import signal
import sys

from measure.loadtest import ghz
from testkit.server_process import DidNotStartError

from .budget import read_budget
from .load import KINDS, CallsFailedError
from .measure import measure
from .page import PAGE, circumstances, replaced
from .sampling import NotSampledError
from .table import table

_CANNOT_RUN, _TERMINATED = 2, 143


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # so that what was started ends, too
    options = _parse()
    try:
        ghz.install()
        measured = _measured(options.seconds)
    except (CallsFailedError, DidNotStartError, NotSampledError, ghz.GhzError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(_CANNOT_RUN)
    print(measured)  # noqa: T201
    if options.write:
        PAGE.write_text(replaced(PAGE.read_text(), measured))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m measure.profiling", description="Where a call's CPU goes, against its budget: docs/profile.md"
    )
    parser.add_argument("--seconds", type=_seconds, default=8.0, help="of each of the six runs (%(default)g)")
    parser.add_argument("--write", action="store_true", help="put what was measured into docs/profile.md")
    return parser.parse_args()


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 60:
        raise argparse.ArgumentTypeError("must be from 1 to 60")
    return seconds


def _measured(seconds: float) -> str:
    """Both tables, and what they were made on."""
    parts = [circumstances(seconds)]
    core, *others = sorted(os.sched_getaffinity(0))
    if others:  # all that is started goes there, but for what is pinned to the one
        os.sched_setaffinity(0, others)
    for kind in KINDS:
        profile = measure(kind, core, seconds)
        parts.append(table(profile, read_budget(kind.name, profile.floor)))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
