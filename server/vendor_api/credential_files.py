"""Our client credentials at the vendor, read again from their files. They expire after 180 days."""

from collections.abc import Mapping
from pathlib import Path

from ..files import BrokenFileError, why_unreadable
from ..settings import read_secret
from .token_endpoint import Credentials

CLIENT_ID, CLIENT_SECRET = "vendor_client_id", "vendor_client_secret"


class CredentialFiles:
    """Files by the names of their settings' fields, CLIENT_ID and CLIENT_SECRET; initial: for those without a file."""

    def __init__(self, paths: Mapping[str, Path], initial: Credentials) -> None:
        self._paths = paths
        self._initial = {CLIENT_ID: initial.client_id, CLIENT_SECRET: initial.client_secret}

    @property
    def settings(self) -> str:
        """The names of the settings that have files."""
        return ", ".join(map(_setting, self._paths))

    @property
    def paths(self) -> list[Path]:
        return list(self._paths.values())

    def load(self) -> Credentials:
        """Raises BrokenFileError."""
        values = self._initial | {name: _read(name, path) for name, path in self._paths.items()}
        return Credentials(values[CLIENT_ID], values[CLIENT_SECRET])


def _read(name: str, path: Path) -> str:
    try:
        return read_secret(path)
    except OSError as error:
        raise BrokenFileError(f"{_setting(name)}: {why_unreadable(error)}") from None
    except ValueError:  # its text may hold bytes of the file
        raise BrokenFileError(f"{_setting(name)}: is empty or not UTF-8") from None


def _setting(name: str) -> str:
    return f"GATEWAY_{name.upper()}"
