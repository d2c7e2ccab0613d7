"""Gateways of different versions share one engine while one is exchanged for the other."""

import time
from typing import Any

import redis.asyncio
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from testkit.engine import EngineProcess
from testkit.shared_results import ID, KEY, CountingVendor, replica

RESULT = f"cr:{{{ID}}}:r"
STORED = bytes.fromhex(
    "730000000000000000000000009d79486adecaf88843e3a57fc60a563d653edc48bdf89f58ab577017480c48aa7c53778bc0"
)
"""`of an earlier version`, as 0.1.0 encrypts it under KEY for ID."""


async def test_what_an_earlier_version_stored_is_given(valkey: EngineProcess) -> None:
    """The vendor is not asked again. The record stands here as it was written: it must not change with the code."""
    vendor, moment = CountingVendor(), int(time.time() * 1000)
    async with redis.asyncio.Redis(port=valkey.port) as engine, replica(valkey.url, vendor) as later:
        await engine.hset(RESULT, mapping={"v": STORED, "t": moment, "f": 1, "a": moment})
        assert await later.read() == b"of an earlier version"
    assert not vendor.reads


async def test_an_earlier_version_can_read_what_is_stored(valkey: EngineProcess) -> None:
    """The fields, the message about it and the encryption are those of 0.1.0, read here without the gateway's code."""
    async with redis.asyncio.Redis(port=valkey.port) as engine, engine.pubsub() as channel:
        await channel.subscribe("cr:c")
        assert await channel.get_message(timeout=10)  # it is subscribed
        async with replica(valkey.url, CountingVendor()) as one:
            answer = await one.read()
            message: Any = await channel.get_message(timeout=10)
        stored: Any = await engine.hgetall(RESULT)
        assert message["data"] == b"%b %b result" % (ID.encode(), stored[b"t"])
        assert set(stored) == {b"v", b"t", b"f", b"a"}
        assert stored[b"f"] == b"0"
        assert 0 <= int(stored[b"a"]) - int(stored[b"t"]) < 60_000
        assert abs(int(stored[b"t"]) - time.time() * 1000) < 60_000
        kind, nonce, sealed = stored[b"v"][:1], stored[b"v"][1:13], stored[b"v"][13:]
        assert (kind, AESGCMSIV(KEY).decrypt(nonce, sealed, RESULT.encode())) == (b"s", answer)
