"""The page that shows the last measurement, docs/profile.md."""

import os
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from measure.loadtest.machine import machine
from server import __version__

PAGE = Path(__file__).parents[2] / "docs" / "profile.md"
BEGIN, END = "<!-- measured: written by python -m measure.profiling --write -->", "<!-- /measured -->"
_LIBRARIES = ("grpcio", "protobuf", "uvloop", "httptools", "prometheus-client", "py-spy")


def circumstances(seconds: float) -> str:
    """When, on what machine and with which versions; nothing personal: no paths, no names of hosts or users.

    Settings that are not the defaults are named, never their values.
    """
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    changed = sorted(name for name in os.environ if name.startswith("GATEWAY_"))
    settings = f" Settings of the environment: {', '.join(changed)}." if changed else ""
    made = f"{datetime.now(UTC):%Y-%m-%d}, {seconds:g} s a run. {', '.join(machine())}"
    return f"{made}; gateway {__version__}, {libraries}.{settings}"


def replaced(page: str, measured: str) -> str:
    """The page with this between its markers. Raises ValueError when it has not each of them once."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end or page.count(BEGIN) + page.count(END) != 2:
        raise ValueError(f"{PAGE.name}: one {BEGIN} and one {END} after it are needed")
    return f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}"
