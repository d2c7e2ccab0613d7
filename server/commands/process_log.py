"""The log of this process."""

import sys

from ..observability.access_log import AccessLog
from ..observability.log_writer import LogWriter
from ..observability.logs import configure_logs, get_log
from ..settings import Settings, wants_no_color

LOG_CLOSE_TIMEOUT = 0.3
"""Seconds at the end for what is left of the log: a part of what app.CLOSE_MARGIN leaves of GRACE."""


class ProcessLog:
    """The log and the access log of this process, on its standard output."""

    def __init__(self, settings: Settings, writer: LogWriter) -> None:
        self._console = settings.log_format == "console" or (settings.log_format is None and sys.stdout.isatty())
        self.writer = writer
        self.access_log = AccessLog(settings.log_level, None if self._console else writer)
        self.set_level(settings.log_level)

    def set_level(self, level: str) -> None:
        """Logs what is of that level or above from now on."""
        configure_logs(level, self._console, self.writer, colors=sys.stdout.isatty() and not wants_no_color())
        self.access_log.set_level(level)

    def lines_lost(self) -> int:
        """Returns how many lines of the log this process has lost."""
        return self.writer.lost

    def ended_by_force(self) -> None:
        """Logs that the process is ended by force, and waits LOG_CLOSE_TIMEOUT at most until it is written."""
        get_log().error("ended by force: calls, or the event loop, did not end in time")
        self.writer.close(LOG_CLOSE_TIMEOUT)
