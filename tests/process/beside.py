"""Tests that run beside others of their module."""

import asyncio
import concurrent.futures
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeAlias

Test: TypeAlias = Callable[[Any], Coroutine[Any, Any, None]]


class Meanwhile:
    """A module's tests that wait more than they work: all of them run at once, a few at a time, beside the others.

    They begin when the first of them is due. tests: by their module.
    """

    tests: ClassVar[defaultdict[str, list[Test]]] = defaultdict(list)

    def __init__(self, module: str, loop: asyncio.AbstractEventLoop) -> None:
        self._slots = asyncio.Semaphore(4)
        self._running = {test: asyncio.run_coroutine_threadsafe(self._run(test), loop) for test in self.tests[module]}

    async def _run(self, test: Test) -> None:
        async with self._slots:
            await test(None)

    def until_over(self, test: Test) -> None:
        """Waits for a test; raises what it raised."""
        self._running[test].result(50)

    def until_all_over(self) -> None:
        """Waits for all of them."""
        concurrent.futures.wait(self._running.values())


def beside_others(test: Test) -> Callable[[Any, Meanwhile], None]:
    """Returns a test that waits for this one, which runs beside others."""
    Meanwhile.tests[test.__module__].append(test)

    def wait(self: object, meanwhile: Meanwhile) -> None:
        meanwhile.until_over(test)

    wait.__doc__ = test.__doc__
    return wait
