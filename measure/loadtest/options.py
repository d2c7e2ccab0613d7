"""The command line."""

import argparse
import json
from pathlib import Path
from typing import Any

from testkit.server_process import ROOT

from .scenarios import SCENARIOS
from .thresholds import FILE

BASELINE = Path(__file__).parent / "baseline.json"
QUICK = 0.2


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads it; exits with 2 when it is wrong. Adds `scenarios`, `sweep`, and `embedded`: whether the sandbox is."""
    parser = argparse.ArgumentParser(
        prog="python -m measure.loadtest", description="Load tests with ghz: docs/loadtest.md"
    )
    add = parser.add_argument
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--length", type=_length, default=1.0, help="the part of the full two minutes, at most 1")
    length.add_argument("--quick", dest="length", action="store_const", const=QUICK, help=f"--length {QUICK}")
    names = [scenario.name for scenario in SCENARIOS]
    add("--only", nargs="+", metavar="SCENARIO", choices=names, help=f"these and no sweep: {', '.join(names)}")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--gateway", metavar="HOST:PORT", help="one that runs already, instead of starting one")
    where.add_argument("--vendor-url", metavar="URL", help="GATEWAY_VENDOR_URL; the environment has the credentials")
    add("--metrics", metavar="HOST:PORT", help="where the metrics of --gateway are")
    add("--sandbox", metavar="HOST:PORT", help="the sandbox behind --gateway or --vendor-url, to make call requests in")
    add("--ids", type=_ids, default=(), metavar="FILE", help="call request ids to read, instead of the sandbox's")
    add("--ghz-config", type=_ghz_config, default=(), metavar="FILE", help="JSON for ghz on top: TLS, metadata")
    add("--vendor-latency", type=float, default=0.05, metavar="SECONDS", help="of the embedded sandbox (%(default)s)")
    add("--thresholds", type=Path, default=FILE, metavar="FILE", help="measure/loadtest/thresholds.toml")
    add(
        "--baseline",
        type=Path,
        default=BASELINE,
        metavar="FILE",
        help="the run to compare with",
    )
    add("--save-baseline", action="store_true", help="write this run there")
    add("--into", type=Path, default=ROOT / "build" / "loadtest", metavar="FOLDER", help="build/loadtest")
    options = parser.parse_args(arguments)
    options.embedded = options.gateway is None and options.vendor_url is None
    if not (options.embedded or options.sandbox or options.ids):
        parser.error("which call requests? Pass --ids FILE, or --sandbox HOST:PORT if there is one")
    options.scenarios = [scenario for scenario in SCENARIOS if not options.only or scenario.name in options.only]
    options.sweep = not options.only
    return options


def _length(text: str) -> float:
    length = float(text)
    if not 0 < length <= 1:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 1")
    return length


def _ids(text: str) -> tuple[str, ...]:
    ids = tuple(_read(text).split())
    if not ids:
        raise argparse.ArgumentTypeError("holds no id")
    return ids


def _ghz_config(text: str) -> tuple[tuple[str, Any], ...]:
    document = json.loads(_read(text))
    if not isinstance(document, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return tuple(document.items())


def _read(text: str) -> str:
    try:
        return Path(text).read_text()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot be read: {error.strerror}") from None
