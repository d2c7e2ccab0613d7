"""Our client credentials at the vendor, read again from their files. They expire after 180 days."""

from ..settings import SecretFiles
from .token_endpoint import Credentials

CLIENT_ID, CLIENT_SECRET = "vendor_client_id", "vendor_client_secret"


class CredentialFiles:
    """files: of CLIENT_ID and CLIENT_SECRET; initial: for those without a file."""

    def __init__(self, files: SecretFiles, initial: Credentials) -> None:
        self.files = files
        self._initial = {CLIENT_ID: initial.client_id, CLIENT_SECRET: initial.client_secret}

    def load(self) -> Credentials:
        """Raises BrokenFileError."""
        values = self._initial | {name: self.files.read(name) for name in self.files}
        return Credentials(values[CLIENT_ID], values[CLIENT_SECRET])
