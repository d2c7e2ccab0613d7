"""Files of GATEWAY_SECRETS_DIR that settings come from, to be read again while the gateway runs."""

from pathlib import Path

from ..files import BrokenFileError, read_file, why_unreadable
from .names import PREFIX
from .values import clean_secret


class SecretFiles(dict[str, Path]):
    """Files by the names of their settings' fields."""

    @property
    def settings(self) -> str:
        """The names of the settings."""
        return ", ".join(map(_setting, self))

    @property
    def paths(self) -> list[Path]:
        return list(self.values())

    def read(self, name: str) -> str:
        """Reads the file of a setting's field, as at the start. Raises BrokenFileError."""
        try:
            return clean_secret(read_file(self[name]).decode())
        except OSError as error:
            raise BrokenFileError(f"{_setting(name)}: {why_unreadable(error)}") from None
        except ValueError:  # its text may hold bytes of the file
            raise BrokenFileError(f"{_setting(name)}: is empty or not UTF-8") from None


def _setting(name: str) -> str:
    return f"{PREFIX}{name.upper()}"
