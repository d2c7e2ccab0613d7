"""The log of a gateway in this process: on stdout as in production, or silent."""

import io
import logging
import sys
from collections.abc import Callable
from typing import Any

import structlog

from server.observability.logs import configure_logs


class Lines(io.StringIO):
    """Takes the log's lines and makes them at once, in the thread that logs."""

    def add(self, make: Callable[..., str], *parts: Any) -> None:
        """Adds a line."""
        self.write(make(*parts))


class _Printed:
    def add(self, make: Callable[..., str], *parts: Any) -> None:
        sys.stdout.write(make(*parts))


def log_to_stdout(level: str) -> None:
    """Logs as the gateway does when nobody looks on, at once."""
    configure_logs(level, console=False, sink=_Printed())


def silence_logs() -> None:
    """Undoes configure_logs: nothing is written any more."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    logging.basicConfig(handlers=[], level=logging.WARNING, force=True)  # at debug, grpc logs what it is deallocating
