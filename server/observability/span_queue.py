"""The spans' way to the collector: a bounded queue, and a thread that empties it. No call waits for either.

OpenTelemetry's own processor counts nothing of what it drops, and its end may take as long as the collector does.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from .logs import describe, get_log
from .outage_log import OutageLog

MAX_SPANS = 2048
"""Spans that wait; more are dropped, the latest first."""
MAX_BATCH = 512
"""Spans that are sent at once."""
DELAY = 1.0
"""Seconds for which spans are gathered."""
LIBRARY = "opentelemetry"
"""The name of the library's loggers. Their lines repeat the collector's texts, at each attempt."""


class Exporter(Protocol):
    """Sends spans; both block."""

    def export(self, spans: list[Any]) -> bool:
        """Sends a batch. Returns whether the collector has taken it."""

    def close(self) -> None:
        """Breaks off what is being sent."""


class SpanQueue:
    """Sends spans from its making on. dropped: called, in any thread, with the number of spans that were not sent."""

    def __init__(self, exporter: Exporter, dropped: Callable[[int], None]) -> None:
        for name in ("", ".exporter.otlp.proto.grpc.exporter", ".exporter.otlp.proto.grpc", ".sdk"):
            logging.getLogger(LIBRARY + name).disabled = True
        logging.getLogger(LIBRARY).propagate = False
        self._exporter = exporter
        self._dropped = dropped
        self._spans: deque[Any] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._outages = OutageLog("traces are not taken", resolved="traces are taken again")
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def add(self, span: Any) -> None:
        """Takes a span that has ended. Never waits."""
        if self._closing or len(self._spans) >= MAX_SPANS:
            self._dropped(1)
            return
        self._spans.append(span)
        if len(self._spans) == MAX_BATCH:
            self._wake.set()

    async def aclose(self, seconds: float) -> None:
        """Sends what is left, within so many seconds. What is not sent by then counts as dropped."""
        self._closing = True
        self._wake.set()
        until = time.monotonic() + seconds
        while self._thread.is_alive() and time.monotonic() < until:  # noqa: ASYNC110 (a thread's end raises no event)
            await asyncio.sleep(0.01)
        if left := len(self._spans):
            self._spans.clear()
            self._dropped(left)
        # A thread, and not waited for: closing, too, may wait for a collector that does not answer.
        threading.Thread(target=self._exporter.close, name="traces' end", daemon=True).start()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(DELAY)
            self._wake.clear()
            self._send()
        self._send()

    def _send(self) -> None:
        while self._spans:
            batch = list[Any]()
            while self._spans and len(batch) < MAX_BATCH:
                try:
                    batch.append(self._spans.popleft())
                except IndexError:  # cleared meanwhile
                    break
            if not self._export(batch):
                self._dropped(len(batch))
                if not self._closing:
                    return  # the next batch goes after DELAY

    def _export(self, batch: list[Any]) -> bool:
        try:
            taken = self._exporter.export(batch)
        except Exception as error:
            get_log().error("unexpected", **describe(error))
            return False
        if taken:
            self._outages.resolved()
        else:
            self._outages.occurred("the collector does not take them")
        return taken
