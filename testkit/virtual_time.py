"""An event loop whose clock jumps ahead whenever nothing is left to do: hours of waiting pass in no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


TICK = 1e-6
"""Seconds that each turn of the loop takes at least: a wait that is due in less than the clock's resolution would else
never end."""


class _Selector(selectors.SelectSelector):
    """Instead of waiting for a time, moves the clock on by it."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "the loop waits for what will never happen"
        self.moved += max(timeout, TICK)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """For coroutines that wait for timers only, not for sockets."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return 1000.0 + self._virtual.moved


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Runs a coroutine on a loop of its own with virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)
