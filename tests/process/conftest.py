"""Fixtures of the tests of several workers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from testkit.stateful_vendor import Vendor

from .beside import Meanwhile


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as played:
        yield played


@pytest.fixture(scope="module")
def meanwhile(request: pytest.FixtureRequest) -> Iterator[Meanwhile]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    begun = Meanwhile(request.module.__name__, loop)
    yield begun
    begun.until_all_over()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
