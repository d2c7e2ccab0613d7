"""An event loop whose clock jumps ahead whenever nothing is left to do: hours of waiting pass in no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


MAX_TURNS, TICK = 1000, 1e-6
"""After so many turns of the loop without a wait the clock moves on by so many seconds: what is due in less than its
resolution, and looks again until it is, would else never end."""


class _Selector(selectors.SelectSelector):
    """Instead of waiting for a time, moves the clock on by it."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0.0
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "the loop waits for what will never happen"
        self._turns = 0 if timeout > TICK else self._turns + 1
        self.moved += TICK if self._turns and self._turns % MAX_TURNS == 0 else max(timeout, 0)
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
