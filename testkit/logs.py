"""The log of a gateway in this process: on stdout as in production, or silent."""

import logging
import sys

import structlog

from server.observability.logs import Lines, configure_logs


def log_to_stdout(level: str) -> None:
    """Logs as the gateway does when nobody looks on."""
    configure_logs(level, console=False, lines=Lines(sys.stdout))


def silence_logs() -> None:
    """Undoes configure_logs: nothing is written any more."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    logging.basicConfig(handlers=[], level=logging.WARNING, force=True)  # at debug, grpc logs what it is deallocating
