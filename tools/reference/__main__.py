"""The command: see the package's docstring. With --check it writes nothing, and fails when the pages are stale."""

import sys
import tempfile
from pathlib import Path

from tools.contract import ROOT
from tools.reference.site import build

REFERENCE = ROOT / "docs/reference"


def main() -> None:
    """Exits with 1 when sabledocs fails, with --check also when docs/reference is not what it makes."""
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        fresh, committed = files(Path(folder)), files(REFERENCE)
    stale = sorted(name for name in fresh | committed if fresh.get(name) != committed.get(name))
    if "--check" in sys.argv[1:]:
        if stale:
            raise SystemExit(f"docs/reference is not up to date ({', '.join(stale)}): run `make generate`")
        return
    for name in stale:
        path = REFERENCE / name
        if name in fresh:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fresh[name])
        else:
            path.unlink()


def files(below: Path) -> dict[str, bytes]:
    """All files of a folder, by their path in it."""
    return {str(path.relative_to(below)): path.read_bytes() for path in below.rglob("*") if path.is_file()}


if __name__ == "__main__":
    main()
