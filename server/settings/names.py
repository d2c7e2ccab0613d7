"""Names of settings, where they stand: as variables of the environment, and as files of GATEWAY_SECRETS_DIR."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from ..files import read_file, why_unreadable

PREFIX = "GATEWAY_"

_SERVICE_LINK = re.compile(
    r"(?:\w+_)?(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile(r"(?:tcp|udp|sctp)://")


def unused_names(prefix: str, known: Collection[str], environment: Mapping[str, str], folder: str | None) -> list[str]:
    """Returns variables in upper case, and files of the folder as they are, that begin with the prefix and no setting.

    Variables that Kubernetes sets for a Service whose name begins like ours are left out.
    """
    variables = {
        name.upper()
        for name, value in environment.items()
        if name.upper().startswith(prefix) and not _is_of_a_service(name.upper().removeprefix(prefix), value)
    }
    files = [] if folder is None else [path.name for path in Path(folder).iterdir()]
    misspelt = (name for name in files if name.upper().startswith(prefix) and name.upper() not in known)
    return sorted(variables - set(known)) + sorted(misspelt)


def _is_of_a_service(name: str, value: str) -> bool:
    if name == "PORT" or name.endswith("_PORT"):
        return _SERVICE_URL.match(value) is not None or _SERVICE_LINK.fullmatch(name) is not None
    return _SERVICE_LINK.fullmatch(name) is not None


def unreadable_secrets(folder: Path, known: Collection[str]) -> list[str]:
    """Returns a line for each file that is named as a setting and cannot be read, or is no text."""
    lines = []
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return ["GATEWAY_SECRETS_DIR: cannot be read"]
    for path in paths:
        name = path.name.upper()
        if name in known:
            try:
                read_file(path).decode()
            except OSError as error:
                lines.append(f"{name}: its file in GATEWAY_SECRETS_DIR {why_unreadable(error)}")
            except UnicodeDecodeError:
                lines.append(f"{name}: its file in GATEWAY_SECRETS_DIR is not UTF-8")
    return lines
