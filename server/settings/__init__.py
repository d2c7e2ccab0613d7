"""The settings: the only reader of the environment."""

from .addresses import Address, CannotListenError, SettingsError, cannot_listen, needs_extra, parse_address
from .environment import let_grpc_report_handshakes, tune_grpc, wants_no_color
from .settings import PREFIX, Settings, defaults, load_settings, own_address, read_secret, shown, unused_settings

__all__ = [
    "PREFIX",
    "Address",
    "CannotListenError",
    "Settings",
    "SettingsError",
    "cannot_listen",
    "defaults",
    "let_grpc_report_handshakes",
    "load_settings",
    "needs_extra",
    "own_address",
    "parse_address",
    "read_secret",
    "shown",
    "tune_grpc",
    "unused_settings",
    "wants_no_color",
]
