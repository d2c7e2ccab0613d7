"""The layers: a folder is a layer, imports point one way, and each library is known in one place."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = (
    "__main__",
    "commands",
    "doctor",
    "app",
    "healthcheck",
    "call",
    "rpc",
    "webhook",
    "watching",
    "reading",
    "cancelling",
    "state",
    "vendor_api",
    "process",
    "reloading",
    "observability",
    "concurrency_limit",
    "validation",
    "request_ids",
    "settings",
    "files",
    "errors",
    "deadline",
    "__init__",
)
"""The rooms of server/, from the top: a module imports from its own room and from rooms below it."""

MAX_ARROWS = 98
"""How many of those arrows between rooms there may be: a new one is a decision, not an accident."""


def _modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


SERVER = _modules("server")


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _room(module: str) -> str:
    """The room of a module of server/, by its full name."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@functools.cache
def _imports(path: Path) -> list[str]:
    """The full names of the modules that a module imports."""
    package = path.relative_to(ROOT).parent.parts
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return found


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _arrows() -> set[tuple[str, str]]:
    """Every pair of different rooms of server/ of which the first imports from the second."""
    return {
        (_room(_name(path)), _room(imported))
        for path in SERVER
        for imported in _imports(path)
        if imported.startswith("server.") and _is_module(imported) and _room(imported) != _room(_name(path))
    }


@pytest.mark.parametrize("path", [pytest.param(path, id=_name(path)) for path in SERVER])
def test_imports_point_one_way(path: Path) -> None:
    """A module imports from its own room or from rooms further down; a new room must be given its place above."""
    own = _room(_name(path))
    assert own in LAYERS, "give this room its place in LAYERS"
    for imported in _imports(path):
        if imported.startswith("server.") and _is_module(imported):
            assert LAYERS.index(_room(imported)) >= LAYERS.index(own), f"{imported} is above"


def test_the_arrows_between_rooms_are_few() -> None:
    """The arrows are counted, so that none is added without a decision."""
    assert len(_arrows()) <= MAX_ARROWS, sorted(_arrows())


KNOWN_IN = {
    "grpc": {"rpc", "healthcheck", "call"},
    "httpx": {"vendor_api"},
    "aiohttp": {"observability.http_port", "observability.operations", "webhook"},
    "httptools": {"vendor_api.http1"},
    "aiohappyeyeballs": {"vendor_api.connector"},
    "opentelemetry": {"observability.tracing"},
    "prometheus_client": {
        *("observability.call_metrics", "observability.file_metrics", "observability.metrics"),
        *("observability.vendor_gauges", "observability.worker_metrics"),
    },
    "pydantic": {"settings", "commands"},
    "pydantic_settings": {"settings"},
    "redis": {"state"},
    "standardwebhooks": {"webhook"},
    "structlog": {"observability.logs"},
    "uvloop": {"commands"},
}
"""Rooms or modules of server/ that may import a library."""


@pytest.mark.parametrize("library", KNOWN_IN)
def test_a_library_is_known_in_its_place_only(library: str) -> None:
    """A library can be exchanged where it is known, and nowhere else."""
    for path in SERVER:
        if any(name.split(".")[0] == library for name in _imports(path)):
            module = _name(path).removeprefix("server.")
            assert {module, module.split(".")[0]} & KNOWN_IN[library], f"{module} imports {library}"


def test_only_the_settings_read_the_environment() -> None:
    """os.environ and os.getenv occur in the settings alone."""
    own = 'os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder'  # written, not read: the library wants it there
    readers = {_name(path) for path in SERVER if re.search(r"os\.environ|getenv", path.read_text().replace(own, ""))}
    assert {_room(name) for name in readers} == {"settings"}


def test_the_sandbox_and_the_gateway_share_no_code() -> None:
    """The sandbox is the vendor: it imports nothing of the gateway, and one module imports it."""
    for path in _modules("sandbox"):
        assert not [name for name in _imports(path) if name.split(".")[0] in {"server", "callrequest"}], path
    users = {_name(path) for path in SERVER if any(name.split(".")[0] == "sandbox" for name in _imports(path))}
    users |= {_name(path) for path in SERVER if "import_module" in path.read_text()}
    assert users == {"server.process.embedded_sandbox"}


@pytest.mark.parametrize("package", ["server", "sandbox", "testkit", "measure", "tools"])
def test_nothing_imports_the_tests(package: str) -> None:
    """What tests share with anything else stands in testkit."""
    users = [path for path in _modules(package) if any(name.split(".")[0] == "tests" for name in _imports(path))]
    assert users == []


@pytest.mark.parametrize("package", ["server", "sandbox", "testkit", "tools"])
def test_nothing_but_its_tests_imports_the_measurements(package: str) -> None:
    """What a measurement shares with anything else stands in testkit."""
    users = [path for path in _modules(package) if any(name.split(".")[0] == "measure" for name in _imports(path))]
    assert users == []


@pytest.mark.parametrize("package", ["testkit", "measure", "tools", "tests"])
def test_the_product_imports_nothing_of_its_workshop(package: str) -> None:
    """Server and sandbox run without the folders that test and measure them."""
    for path in [*SERVER, *_modules("sandbox")]:
        assert not [name for name in _imports(path) if name.split(".")[0] == package], path


def test_the_tests_mirror_the_server() -> None:
    """A room of server/ has a folder of the same name in tests/; other folders there test what stands at the top."""
    rooms = {path.name for path in (ROOT / "server").iterdir() if (path / "__init__.py").is_file()}
    tested = {path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= tested
    assert all((ROOT / name).is_dir() for name in tested - rooms)


def test_a_service_has_no_try() -> None:
    """Errors are the interceptor's: the servicer only checks, calls and answers."""
    tree = ast.parse((ROOT / "server/rpc/service.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Try)]


@pytest.mark.parametrize("package", ["tests", "testkit", "measure"])
def test_nothing_is_patched(package: str) -> None:
    """Tests pass in what they control: no mock, and of monkeypatch the environment only."""
    patching = re.compile(r"unittest\.mock|monkeypatch\.(?!setenv|delenv|chdir)\w+|MonkeyPatch\(\)")
    users = [path for path in _modules(package) if path != Path(__file__) and patching.search(path.read_text())]
    assert users == []
