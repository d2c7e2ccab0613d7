"""A sandbox on a free port and a client with a token."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from sandbox import Sandbox
from tests.sandbox.caller import Caller


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        caller = Caller(session, sandbox.url)
        # Else aiohttp asks again by itself when a connection is closed, and a fault seems to have happened less often.
        session._retry_connection = False  # noqa: SLF001 (there is no public way)
        await caller.renew()
        yield caller
