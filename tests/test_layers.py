"""The layers: imports point one way, and each tool is known in one place."""

import ast
import re
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[1] / "server"
MODULES = sorted(SERVER.rglob("*.py"))

LAYERS = [
    {"__main__"},
    {"commands"},
    {"healthcheck", "app", "workers"},
    {"embedded", "worker_process", "end_signals", "metrics_folder"},
    {"heartbeat"},
    {"describe"},
    {"operations", "service", "guard", "health"},
    {"results", "cancels_under_way", "status"},
    {"cancellation", "shared_reads", "retries", "throttle", "limits"},
    {"kept_results"},
    {"vendor.client", "vendor.transport"},
    {"vendor.http1"},
    {"vendor.token_endpoint"},
    {"vendor.token", "vendor.exchange", "vendor.faults", "metrics", "callers", "certificates"},
    {"vendor.translate"},
    {"vendor.rows"},
    {"vendor.readers"},
    {"vendor.document", "vendor.quirks", "vendor.trouble"},
    {"access_log", "ceiling", "lanes", "later", "scheduling"},
    {"port", "grpc_server"},
    {"validation", "logs", "settings", "callers_file", "reloading"},
    {"errors", "deadline", "soon"},
    {"__init__", "vendor.__init__"},
]
"""From the top: a module imports only from layers below its own."""


def _name(path: Path) -> str:
    return ".".join(path.relative_to(SERVER).with_suffix("").parts)


def _imports(path: Path) -> list[str]:
    """The full names of the modules that a module imports."""
    package = ["server", *path.relative_to(SERVER).parent.parts]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [module] + [f"{module}.{alias.name}" for alias in node.names]
    return found


def _layer(module: str) -> int | None:
    return next((number for number, layer in enumerate(LAYERS) if module in layer), None)


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=_name(path)) for path in MODULES if "sandbox" not in path.parts]
)
def test_imports_point_one_way(path: Path) -> None:
    """A module imports from layers below its own only; a new module has to be given its layer above."""
    own = _layer(_name(path))
    assert own is not None, "give it a layer"
    for imported in _imports(path):
        other = _layer(imported.removeprefix("server."))
        if imported.startswith("server.") and other is not None and imported != "server.__init__":
            assert other > own, f"{imported} is not below"


KNOWN_IN = {
    "grpc": {"grpc_server", "lanes", "describe", "service", "guard", "health", "healthcheck", "certificates"},
    "httpx": {"vendor.client", "vendor.exchange", "vendor.http1", "vendor.token_endpoint", "vendor.transport"},
    "aiohttp": {"operations"},
    "httptools": {"vendor.http1"},
    "aiohappyeyeballs": {"vendor.transport"},
    "prometheus_client": {"metrics"},
    "pydantic": {"settings"},
    "pydantic_settings": {"settings"},
    "structlog": {"logs"},
    "uvloop": {"commands"},
}


@pytest.mark.parametrize("library", KNOWN_IN)
def test_a_library_is_known_in_its_place_only(library: str) -> None:
    """A library can be exchanged where it is known, and nowhere else."""
    users = {
        _name(path)
        for path in MODULES
        if "sandbox" not in path.parts and any(name.split(".")[0] == library for name in _imports(path))
    }
    assert users <= KNOWN_IN[library]


def test_only_the_settings_read_the_environment() -> None:
    """os.environ and os.getenv occur in settings.py alone."""
    own = 'os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder'  # written, not read: the library wants it there
    readers = {_name(path) for path in MODULES if re.search(r"os\.environ|getenv", path.read_text().replace(own, ""))}
    assert readers == {"settings"}


def test_only_the_wiring_knows_the_sandbox_and_the_sandbox_knows_no_one() -> None:
    """The sandbox is the vendor: it shares no code with the gateway, and only app and the command line start it."""
    for path in MODULES:
        inside = "sandbox" in path.parts
        for imported in _imports(path):
            if inside:
                assert not imported.startswith("server.") or imported.startswith("server.sandbox"), path
            elif imported.startswith("server.sandbox"):
                assert _name(path) in {"embedded", "commands"}


def test_a_service_has_no_try() -> None:
    """Errors are the interceptor's: the servicer only checks, calls and answers."""
    tree = ast.parse((SERVER / "service.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Try)]
