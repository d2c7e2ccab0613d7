"""Hedged requests (Dean and Barroso, "The Tail at Scale"): one that hangs is overtaken by another of the same kind."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_Reply = TypeVar("_Reply")


async def hedged(request: Callable[[], Coroutine[Any, Any, _Reply]], after: float) -> _Reply:
    """Begins a request, and another one if it has not ended `after` seconds later; at most these two.

    Returns or raises what comes of the first to end, and cancels the other.
    """
    requests = {asyncio.create_task(request())}
    try:
        ended, _ = await asyncio.wait(requests, timeout=after)
        if not ended:
            requests.add(asyncio.create_task(request()))
            ended, _ = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        return ended.pop().result()
    finally:
        for each in requests:
            each.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
