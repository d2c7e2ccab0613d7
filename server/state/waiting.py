"""Readers that wait for what another process reads."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Waiting:
    """Who waits for a message about which call request."""

    def __init__(self) -> None:
        self._futures: dict[str, set[asyncio.Future[None]]] = {}

    @contextmanager
    def message(self, call_request_id: str) -> Iterator["asyncio.Future[None]"]:
        """A future that is done once a message about it has come since the block was entered."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        futures = self._futures.setdefault(call_request_id, set())
        futures.add(future)
        try:
            yield future
        finally:
            futures.discard(future)
            if not futures and self._futures.get(call_request_id) is futures:
                del self._futures[call_request_id]

    def wake(self, call_request_id: str) -> None:
        """A message about it has come."""
        for future in self._futures.pop(call_request_id, ()):
            if not future.done():
                future.set_result(None)
