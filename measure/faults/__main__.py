"""Runs the suite: `python -m measure.faults [--long] [--only NAME …]`, or `python -m measure.faults --soak SECONDS`."""

import argparse
import asyncio
import resource
import signal
import sys
import time
from dataclasses import replace

from testkit.gateway_process import DidNotStartError

from . import callers, cancelling, ending, hostile, overload, reading, replies, seen, sharing, workers
from .row import FaultCase, Findings, Form
from .soak import soak_row
from .table import Line, print_line, print_table

ROWS = (
    *reading.ROWS,
    *replies.ROWS,
    *cancelling.ROWS,
    *overload.ROWS,
    *hostile.ROWS,
    *ending.ROWS,
    *callers.ROWS,
    *seen.ROWS,
    *sharing.ROWS,
    *workers.ROWS,
)
MISSED = frozenset({"continued"})
"""Rows that are known not to hold, with their cause in docs/faults.md: they are shown, and do not end a run with 1."""
TRIES = 3
"""How often a row is measured until it holds: what else the machine does is no fault of the gateway's."""
ONCE = frozenset(row.name for row in (*cancelling.ROWS, *callers.ROWS, *sharing.NEVER))
"""Rows about what must never happen: a cancel wrongly confirmed, a stranger let in. A second try would hide it."""
_FILES = 20_000  # open at once: the idle connections of both sides, and more


def main() -> None:
    """Exits with 1 when a row does not hold, but for those of MISSED."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m measure.faults", description="Measures what the gateway promises.")
    parser.add_argument("--long", action="store_true", help="the issue's full times and numbers")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=f"these rows: {', '.join(names)}")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="the long run alone, for so many seconds")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    chosen = [row for row in ROWS if not options.only or row.name in options.only]
    if options.soak:
        chosen = [soak_row(options.soak)]
    sys.exit(0 if asyncio.run(run(chosen, Form(options.long))) else 1)


async def run(rows: list[FaultCase], form: Form) -> bool:
    """Measures one row after the other; gives whether all hold, but for those of MISSED.

    A SIGTERM ends it as Ctrl-C does: the gateways of rows end with it.
    """
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    # What a killed gateway's connections leave behind is no news.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    lines = []
    for row in rows:
        seconds = 0.0
        for _ in range(1 if row.name in MISSED | ONCE else TRIES):
            line = await _measure(row, form)
            print_line(line)
            seconds += line.seconds
            if line.findings.held:
                break
        lines.append(replace(line, seconds=seconds))
    print_table(lines, MISSED)
    return all(line.findings.held for line in lines if line.row.name not in MISSED)


async def _measure(row: FaultCase, form: Form) -> Line:
    begun, findings = time.monotonic(), Findings()
    try:
        async with asyncio.timeout(row.most):
            await row.measure(form, findings)
    except TimeoutError:
        findings.saw(f"no end after {row.most:.0f} s", False)
    except DidNotStartError as error:
        findings.saw(f"did not start: {error}", False)
    except Exception as error:
        findings.saw(f"broke off: {error!r}", False)
    return Line(row, findings, time.monotonic() - begun)


if __name__ == "__main__":
    main()
