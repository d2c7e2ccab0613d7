"""Writes the Python stubs in callrequest/v1 from protos/: python -m tools.generate [--check].

With --check nothing is written: the exit code is 1 when the committed stubs are not those of the protos.
"""

import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[1]
PROTOS = ROOT / "protos"
PACKAGE = Path("callrequest/v1")


def generate(into: Path) -> None:
    """Writes messages for every proto and gRPC stubs for those with a service; exits when protoc fails."""
    sources = sorted((PROTOS / PACKAGE).glob("*.proto"))
    _protoc(into, sources, ("python", "mypy"))
    _protoc(into, [path for path in sources if path.stem.endswith("_service")], ("grpc_python", "mypy_grpc"))


def _protoc(into: Path, sources: list[Path], kinds: tuple[str, ...]) -> None:
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    plugins = [f"--plugin=protoc-gen-{kind}={Path(sys.executable).parent / f'protoc-gen-{kind}'}" for kind in kinds[1:]]
    outputs = [f"--{kind}_out={into}" for kind in kinds[:1]] + [f"--{kind}_out=quiet:{into}" for kind in kinds[1:]]
    if protoc.main(["protoc", f"-I{PROTOS}", f"-I{well_known}", *plugins, *outputs, *map(str, sources)]) != 0:
        raise SystemExit("protoc failed")


def stubs(below: Path) -> dict[str, bytes]:
    """The generated files, by name; __init__.py is written by hand."""
    return {path.name: path.read_bytes() for path in (below / PACKAGE).glob("*_pb2*")}


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        generate(Path(made))
        fresh, committed = stubs(Path(made)), stubs(ROOT)
    stale = sorted(name for name in fresh | committed if fresh.get(name) != committed.get(name))
    if "--check" in sys.argv[1:]:
        if stale:
            raise SystemExit(f"generated code is not up to date ({', '.join(stale)}): run `make generate`")
        return
    for name in stale:
        path = ROOT / PACKAGE / name
        if name in fresh:
            path.write_bytes(fresh[name])
        else:
            path.unlink()


if __name__ == "__main__":
    main()
