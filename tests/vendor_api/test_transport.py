"""How long connections to the vendor live, and what ends them."""

import asyncio
import errno
import os
import resource
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest

from server.vendor_api.exchange import MAX_BYTES
from server.vendor_api.transport import Http1Transport
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, later, pending, send

PATH = f"/api/v1/call-request/{RESULT_ID}/result"


@asynccontextmanager
async def _to(vendor: ScriptedVendor, **changed: Any) -> AsyncIterator[Http1Transport]:
    async with Http1Transport(vendor.url, ssl.create_default_context(), 100, MAX_BYTES, **changed) as transport:
        yield transport


async def _ask(transport: Http1Transport, vendor: ScriptedVendor) -> int:
    request = httpx.Request("GET", vendor.url + PATH, extensions={"timeout": {"connect": 10, "read": 10}})
    return (await transport.handle_async_request(request)).status_code


async def test_idle_connections_are_closed_by_a_timer(vendor: ScriptedVendor) -> None:
    """However many there are, without another request: each would hold a file descriptor on both sides."""
    vendor.answer("result", later(0.3, send(pending())))
    async with _to(vendor, keep_idle=0.2) as transport:
        assert set(await asyncio.gather(*(_ask(transport, vendor) for _ in range(50)))) == {200}
        assert vendor.connections == 50
        await vendor.until(lambda: vendor.open == 0)
        assert await _ask(transport, vendor) == 200
        await vendor.until(lambda: vendor.open == 0)
    assert vendor.connections == 51


async def test_connections_that_a_lower_load_does_not_need_are_closed(vendor: ScriptedVendor) -> None:
    """The busy ones stay: the one that was used last is used first."""
    vendor.answer("result", later(0.1, send(pending())))
    async with _to(vendor, keep_idle=0.5) as transport:
        await asyncio.gather(*(_ask(transport, vendor) for _ in range(20)))
        vendor.answer("result", send(pending()))
        while vendor.open > 1:
            assert await _ask(transport, vendor) == 200
            await asyncio.sleep(0.02)
    assert vendor.connections == 20


async def test_a_busy_connection_expires(vendor: ScriptedVendor) -> None:
    """The exchange that it carries is finished first, whatever its age."""
    vendor.answer("result", later(0.5, send(pending())))
    async with _to(vendor, max_age=0.2) as transport:
        for expected in range(1, 4):
            assert await _ask(transport, vendor) == 200
            assert vendor.connections == expected
            await vendor.until(lambda: vendor.open == 0)


async def test_a_connection_that_expired_while_it_was_idle_is_not_used(vendor: ScriptedVendor) -> None:
    """It is closed, and the request goes over a new one."""
    async with _to(vendor, max_age=0.1, keep_idle=60) as transport:
        for _ in range(3):
            assert await _ask(transport, vendor) == 200
            await asyncio.sleep(0.15)
    assert vendor.connections == 3


async def test_a_server_that_moves_is_followed_within_the_age(vendor: ScriptedVendor) -> None:
    """Requests without a pause keep the old connection busy; the new server gets them all once that has expired."""
    moved = ScriptedVendor()
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(_to(vendor, max_age=0.3))
        assert await _ask(transport, vendor) == 200
        vendor.stop_listening()
        await moved.listen(int(vendor.url.rpartition(":")[2]))
        stack.push_async_exit(moved)
        async with asyncio.timeout(10):
            while not moved.asked:
                assert await _ask(transport, vendor) == 200
        before = len(vendor.asked)
        for _ in range(20):
            assert await _ask(transport, vendor) == 200
        assert len(vendor.asked) == before


async def test_after_a_renewal_every_request_goes_over_a_new_connection(vendor: ScriptedVendor) -> None:
    """Idle connections are closed at once, the others after the exchange that they carry; none of those fails."""
    async with _to(vendor) as transport:
        assert await _ask(transport, vendor) == 200
        vendor.answer("result", later(0.3, send(pending())))
        carried = [asyncio.ensure_future(_ask(transport, vendor)) for _ in range(3)]
        await vendor.until(lambda: len(vendor.asked) == 4)
        transport.renew(ssl.create_default_context())
        assert await asyncio.gather(*carried) == [200] * 3
        await vendor.until(lambda: vendor.open == 0)
        assert await _ask(transport, vendor) == 200
    assert vendor.connections == 4


@contextmanager
def _no_descriptor_left() -> Iterator[None]:
    """The process may open no more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_nothing_is_sent_and_it_recovers(vendor: ScriptedVendor) -> None:
    """ConnectError, as often as it is tried; then every place is free again."""
    async with Http1Transport(vendor.url, ssl.create_default_context(), 3, MAX_BYTES) as transport:
        with _no_descriptor_left():
            for _ in range(10):
                with pytest.raises(httpx.ConnectError) as caught:
                    await _ask(transport, vendor)
                assert isinstance(caught.value.__cause__, OSError)
                assert caught.value.__cause__.errno == errno.EMFILE
        assert vendor.asked == []
        assert await asyncio.gather(*(_ask(transport, vendor) for _ in range(10))) == [200] * 10
