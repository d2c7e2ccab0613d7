"""What gRPC's core writes to stderr: TLS handshakes that fail are counted and logged; its other lines are dropped.

The core reports a failed handshake nowhere else. Its lines are about clients, are not JSON, and a stranger can cause
any number of them.
"""

import os
import re
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from ..observability.logs import get_log

LOG_INTERVAL = 60.0
"""Seconds between two lines about handshakes; the first that fails is logged at once."""

REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate",
    "CERTIFICATE_VERIFY_FAILED": "certificate not verified",
    "HTTP_REQUEST": "plain HTTP",
    "WRONG_VERSION_NUMBER": "not TLS",
    "NO_SHARED_CIPHER": "no common cipher",
    "UNSUPPORTED_PROTOCOL": "TLS version",
}
"""BoringSSL's reasons, and what they are called in logs and metrics."""
OTHER = "other"

_CORE = re.compile(r"[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w.-]+:\d+\] ")
_FAILED = re.compile(r"Handshake failed with error SSL_ERROR_SSL: .{0,40}:OPENSSL_internal:([A-Z0-9_]{1,80})")
_MAX_LINE = 64 << 10


class CoreLog:
    """Takes the place of stderr for what is not written by Python: `with CoreLog() as core_log`.

    Python's own stderr stays as it is. Does nothing when stderr is closed. on_failure: called in a thread, with one of
    REASONS' values or OTHER.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.on_failure: Callable[[str], None] = lambda reason: None
        self._now = now
        self._waiting = Counter[str]()
        self._log_at = 0.0
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        try:
            self._stderr = os.dup(2)
        except OSError:
            return self
        read, write = os.pipe()
        os.dup2(write, 2)
        os.close(write)
        sys.stderr = open(self._stderr, "w", buffering=1, errors="backslashreplace", closefd=False)
        self._reader = threading.Thread(target=self._read, args=(read,), name="grpc-core-log", daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._reader is not None:
            os.dup2(self._stderr, 2)  # closes the pipe's end, by which the reader ends
            self._reader.join(1)
            if self._waiting:
                self._log()

    def take(self, line: str) -> bool:
        """Takes one line; returns whether it is the core's."""
        if not _CORE.match(line):
            return False
        if match := _FAILED.search(line):
            reason = REASONS.get(match[1], OTHER)
            self._waiting[reason] += 1
            self.on_failure(reason)
            self.log_due()
        return True

    def log_due(self) -> None:
        """Logs the failures since the last line about them, if that is long enough ago."""
        if self._waiting and self._now() >= self._log_at:
            self._log()
            self._log_at = self._now() + LOG_INTERVAL

    def _log(self) -> None:
        get_log().info("TLS handshakes failed", failures=dict(self._waiting))
        self._waiting.clear()

    def _read(self, descriptor: int) -> None:
        rest = b""
        while True:
            ready, _, _ = select.select([descriptor], [], [], LOG_INTERVAL)
            self.log_due()
            if not ready:
                continue
            received = os.read(descriptor, _MAX_LINE)
            *lines, rest = (rest + received).split(b"\n")
            for line in lines:
                if not self.take(line.decode(errors="replace")):
                    self._pass_on(line + b"\n")
            if len(rest) > _MAX_LINE or not received:
                self._pass_on(rest)
                rest = b""
            if not received:
                os.close(descriptor)
                return

    def _pass_on(self, content: bytes) -> None:
        """Writes it to the true stderr. What that does not take at once is lost: the core would wait for its reader."""
        ready = select.poll()
        ready.register(self._stderr, select.POLLOUT)
        with suppress(OSError):
            while content and ready.poll(0):
                content = content[os.write(self._stderr, content[: select.PIPE_BUF]) :]
