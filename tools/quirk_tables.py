"""Writes the tables of quirks in docs/metrics.md and docs/sandbox.md: python -m tools.quirk_tables [--check].

The sentences are those of server/vendor_api/quirks.py and sandbox/seed_quirks.py. With --check nothing is written: the
exit code is 1 when a page is stale, or a quirk has no recorded payload or no call request in the sandbox.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from sandbox.seed_quirks import QUIRKS
from server.vendor_api.quirks import Quirk
from tools.contract import ROOT

METRICS, SANDBOX = Path("docs/metrics.md"), Path("docs/sandbox.md")
RECORDED = Path("tests/vendor_api/recorded")


def pages(metrics: str, sandbox: str) -> dict[Path, str]:
    """The pages as they should be, by their paths in the repository. metrics, sandbox: as they are."""
    metrics = re.sub(r"`Q\d+` to `Q\d+`", f"`{min(Quirk)}` to `{max(Quirk)}`", metrics)
    metrics = _with_table(metrics, "The quirks", (f"{quirk} | {quirk.sentence}" for quirk in Quirk))
    return {
        METRICS: metrics,
        SANDBOX: _with_table(sandbox, "Quirks", (f"`{row.id}` | {row.sentence}" for row in QUIRKS)),
    }


def forgotten(quirks: Iterable[str], recorded: Iterable[str], seeds: Iterable[str]) -> list[str]:
    """What is left to do for a quirk. quirks: their numbers; recorded: names of payloads; seeds: ids of the sandbox."""
    recorded, seeds = {name[:3] for name in recorded}, {seed[:3].upper() for seed in seeds}
    return [
        *(f"{quirk} has no payload {RECORDED}/{quirk}-*.json" for quirk in quirks if quirk not in recorded),
        *(f"{quirk} has no call request in sandbox/seed_quirks.py" for quirk in quirks if quirk not in seeds),
    ]


def _with_table(page: str, heading: str, rows: Iterable[str]) -> str:
    """The page with the rows of the first table below a heading replaced."""
    before, found, below = page.partition(f"# {heading}\n")
    table = re.compile(r"(?P<head>.*?\|\n\|---\|---\|\n)(?:\|[^\n]*\n)*", re.DOTALL)
    match = table.match(below)
    if not found or match is None:
        raise SystemExit(f"no table below the heading {heading}")
    lines = "".join(f"| {row} |\n" for row in rows)
    return f"{before}{found}{match['head']}{lines}{below[match.end() :]}"


def main() -> None:
    fresh = pages((ROOT / METRICS).read_text(), (ROOT / SANDBOX).read_text())
    stale = [path for path, text in fresh.items() if (ROOT / path).read_text() != text]
    if "--check" not in sys.argv[1:]:
        for path in stale:
            (ROOT / path).write_text(fresh[path])
        return
    recorded = (path.name for path in (ROOT / RECORDED).glob("*.json"))
    faults = forgotten([quirk.value for quirk in Quirk], recorded, (row.id for row in QUIRKS))
    faults += [f"{path} is stale: run `make generate`" for path in stale]
    if faults:
        raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    main()
