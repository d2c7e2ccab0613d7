"""Our client credentials at the vendor, read again from their files. They expire after 180 days."""

from collections.abc import Mapping
from pathlib import Path

from ..settings import PREFIX, read_secret
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
        return ", ".join(f"{PREFIX}{name.upper()}" for name in self._paths)

    @property
    def paths(self) -> list[Path]:
        return list(self._paths.values())

    def load(self) -> Credentials:
        """Raises BrokenFileError."""
        values = self._initial | {name: read_secret(name, path) for name, path in self._paths.items()}
        return Credentials(values[CLIENT_ID], values[CLIENT_SECRET])
