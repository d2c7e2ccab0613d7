"""The command: python -m measure.faults [--long] [--table] [--at-once NUMBER] [--only NAME …], or with --soak SECONDS.

--promises prints the lines of docs/faults.md.
"""

import argparse
import asyncio
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path

from .fault_case import Form
from .report import page, summary, table
from .soak import soak_case
from .suite import CASES, KNOWN_FAILURES, run, succeeded

_REPORT = Path(__file__).parents[2] / "build/faults.md"
_MAX_FILES = 20_000  # open at once: the idle connections of both sides, and more


def main() -> None:
    """Writes the figures to build/faults.md and prints what does not hold; exits with 1 when a case newly fails."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m measure.faults", description="Measures the promises under fault.")
    parser.add_argument("--long", action="store_true", help="the full times and numbers")
    parser.add_argument("--table", action="store_true", help="prints the figures of all cases")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=f"these cases: {', '.join(names)}")
    parser.add_argument("--at-once", type=int, default=1, metavar="NUMBER", help="measures so many cases at once (1)")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="the long run alone, for so many seconds")
    parser.add_argument("--promises", action="store_true", help="prints the lines of docs/faults.md, measures nothing")
    options = parser.parse_args()
    if options.promises:
        print("\n".join(case.line for case in (*CASES, soak_case(600))))
        return
    _allow_open_files()
    chosen = [case for case in CASES if not options.only or case.name in options.only]
    if options.soak:
        chosen = [soak_case(options.soak)]
    measured = asyncio.run(run(chosen, Form(options.long), options.at_once))
    command = " ".join(["python -m measure.faults", *sys.argv[1:]])
    _REPORT.parent.mkdir(exist_ok=True)
    _REPORT.write_text(page(measured, command, f"{datetime.now(UTC):%Y-%m-%d}"))
    if options.table:
        print(table(measured))
    print(f"All figures: {_REPORT}")
    print(summary(measured, KNOWN_FAILURES))
    sys.exit(0 if succeeded(measured) else 1)


def _allow_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


if __name__ == "__main__":
    main()
