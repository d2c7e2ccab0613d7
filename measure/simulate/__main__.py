"""`python -m measure.simulate`: what 10 000, 100 000 and 1 000 000 open call requests take; --check: is it true?"""

import argparse
import asyncio
import resource
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import uvloop

from measure.loadtest.machine import machine

from . import constants
from .check import compare
from .measuring import measure
from .page import CHECKED, PAGE, PLOT, SIMULATED, replaced
from .plot import draw
from .scenario import MODES
from .sizing import sizes
from .table import check_table, constants_table, sizes_table

_MAX_FILES = 20_000
_Result = TypeVar("_Result")


def main() -> None:
    """Exits with 1 when the check does not hold."""
    parser = argparse.ArgumentParser(prog="python -m measure.simulate", description="How far it scales: docs/scale.md")
    parser.add_argument("--measure", action="store_true", help="measures the constants anew, a minute, and keeps them")
    parser.add_argument("--check", action="store_true", help="compares with real processes instead, nine minutes")
    parser.add_argument("--only", nargs="+", choices=MODES, default=MODES, help="of --check: these ways to follow")
    parser.add_argument("--write", action="store_true", help="writes the result into docs/scale.md and docs/scale.svg")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _MAX_FILES) if hard > 0 else _MAX_FILES, hard))
    if options.measure:
        constants.write(uvloop.run(_quietly(measure())))
    if options.check:
        compared = [uvloop.run(_quietly(compare(mode))) for mode in options.only]
        made = f"{datetime.now(UTC):%Y-%m-%d}, {', '.join(machine())}."
        _publish(CHECKED, f"{made}\n\n{check_table(compared)}", write=options.write)
        sys.exit(0 if all(each.held for each in compared) else 1)
    known = constants.read()
    found = sizes(known)
    _publish(SIMULATED, f"{sizes_table(found)}\n\n{constants_table(known)}", write=options.write)
    plot = PLOT if options.write else PAGE.parents[1] / "build" / "scale.svg"
    plot.parent.mkdir(exist_ok=True)
    draw(found, plot)
    sys.stdout.write(f"Plot: {plot}\n")


async def _quietly(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Connections of killed gateways raise in callbacks that nothing awaits."""
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    return await work


def _publish(part: str, text: str, *, write: bool) -> None:
    sys.stdout.write(text + "\n")
    if write:
        PAGE.write_text(replaced(PAGE.read_text(), part, text))


if __name__ == "__main__":
    main()
