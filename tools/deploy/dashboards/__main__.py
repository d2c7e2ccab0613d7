"""Writes deploy/dashboards/*.json: python -m tools.deploy.dashboards [--check].

With --check nothing is written; the exit code is 1 when a file is stale.
"""

import sys

from tools.contract import ROOT

from .boards import FILES
from .grafana import as_json


def main() -> None:
    fresh = {path: as_json(board) for path, board in FILES.items()}
    stale = [path for path, text in fresh.items() if not (ROOT / path).exists() or (ROOT / path).read_text() != text]
    if "--check" in sys.argv[1:]:
        sys.exit("\n".join(f"{path} is stale: run `make generate`" for path in stale) or 0)
    for path in stale:
        (ROOT / path).write_text(fresh[path])


if __name__ == "__main__":
    main()
