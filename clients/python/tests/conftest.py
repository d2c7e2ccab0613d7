"""Where the servers are, by the environment."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest

from client.channel import Gateway

from .callers import Caller, aio, blocking
from .sandbox import Sandbox

Connect: TypeAlias = Callable[[Gateway], Caller]

PENDING = "statusPending001"


def needed(name: str) -> str:
    """A variable of the environment. Without it the test is skipped, or fails when all are required."""
    if name in os.environ:
        return os.environ[name]
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"{name} is not set")
    pytest.skip(f"{name} is not set")


@pytest.fixture(params=[blocking, aio], ids=["blocking", "aio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Connects a caller to a gateway, by a channel of its own."""
    way: Callable[[Gateway], AbstractContextManager[Caller]] = request.param
    with ExitStack() as connections:
        yield lambda gateway: connections.enter_context(way(gateway))


@pytest.fixture
def gateway() -> Gateway:
    """The gateway in front of the sandbox."""
    return Gateway(needed("CALL_REQUEST_GATEWAY"))


@pytest.fixture
def secured() -> Gateway:
    """The gateway that knows its callers, for a caller without a token."""
    return Gateway(needed("CALL_REQUEST_GATEWAY_TLS"), Path(needed("CALL_REQUEST_CA")).read_bytes())


@pytest.fixture
def sandbox(gateway: Gateway) -> Iterator[Sandbox]:
    """The sandbox at its start. The gateway trusts it again: three good reads clear its record of failures."""
    running = Sandbox(needed("CALL_REQUEST_SANDBOX"))
    running.reset()
    with blocking(gateway) as caller:
        good = 0
        while good < 3:
            try:
                caller.read(PENDING)
                good += 1
            except grpc.RpcError:
                good = 0
                time.sleep(0.2)
    running.reset()
    yield running
    running.reset()
