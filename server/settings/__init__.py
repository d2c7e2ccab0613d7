"""The settings: the only reader of the environment."""

from .addresses import Address, CannotListenError, cannot_listen, parse_address
from .display import defaults, shown
from .environment import let_grpc_report_handshakes, tune_grpc, wants_no_color
from .errors import SettingsError, needs_extra
from .names import PREFIX
from .secret_files import SecretFiles
from .settings import Settings, load_settings, own_address, unused_settings

__all__ = [
    "PREFIX",
    "Address",
    "CannotListenError",
    "SecretFiles",
    "Settings",
    "SettingsError",
    "cannot_listen",
    "defaults",
    "let_grpc_report_handshakes",
    "load_settings",
    "needs_extra",
    "own_address",
    "parse_address",
    "shown",
    "tune_grpc",
    "unused_settings",
    "wants_no_color",
]
