"""The command: see the package's docstring. With --check it writes nothing, and fails when a page is stale."""

import signal
import sys
from pathlib import Path

from testkit.server_process import ROOT, DidNotStartError
from tools.examples.pages import sections, with_programs
from tools.examples.running import PageError, running_page

PAGES = (ROOT / "docs/examples.md", ROOT / "docs/tools.md")
PROGRAMS = ROOT / "docs/testing-against.md"


def main() -> None:
    """Exits with 1 when a command fails, with --check also when one does not print what its page shows."""
    check = "--check" in sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # ends the gateways, as Ctrl-C does
    try:
        fresh = {path: _run(path) for path in PAGES}
    except (PageError, DidNotStartError) as error:
        raise SystemExit(str(error)) from None
    fresh[PROGRAMS] = with_programs(PROGRAMS.read_text(), PROGRAMS.parent)
    stale = [path for path, text in fresh.items() if path.read_text() != text]
    if check and stale:
        names = ", ".join(path.name for path in stale)
        raise SystemExit(f"not what the commands print, or the programs are ({names}): run `make examples`")
    for path in stale:
        path.write_text(fresh[path])


def _run(path: Path) -> str:
    with running_page() as page:
        return "".join(section.showing(page.run(section)) for section in sections(path.read_text()))


if __name__ == "__main__":
    main()
