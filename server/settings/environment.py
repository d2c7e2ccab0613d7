"""Variables of the environment that are not the gateway's own: gRPC's, and those of all programs."""

import os

_VERBOSITY, _SILENT = "GRPC_VERBOSITY", "NONE"


def tune_grpc() -> None:
    """Has gRPC's core listen as it did before its EventEngine, unless GRPC_EXPERIMENTS is set: before grpc is imported.

    With the EventEngine's listener (the default of 1.85) each call takes another change of threads: a fifth more CPU
    for an answer that is known. Both are maintained; the fault suite runs with this one.
    """
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
    # Its own lines on stderr are about what clients do: handshakes that fail, headers that are too large.
    os.environ.setdefault(_VERBOSITY, _SILENT)


def let_grpc_report_handshakes() -> bool:
    """Has gRPC's core write a line for each TLS handshake that fails, unless GRPC_VERBOSITY is set; whether it does.

    Before grpc is imported. For CoreLog, which reads those lines.
    """
    if os.environ.get(_VERBOSITY) != _SILENT:
        return False
    os.environ[_VERBOSITY] = "INFO"
    return True


def wants_no_color() -> bool:
    """Whether the user wants no colours in any program's output: NO_COLOR is set, and not empty (no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))
