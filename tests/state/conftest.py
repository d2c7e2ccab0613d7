"""A real engine for each test of this room."""

from collections.abc import Iterator

import pytest

from testkit.engine import EngineProcess, engine
from testkit.server_process import free_ports


@pytest.fixture
def valkey() -> Iterator[EngineProcess]:
    (port,) = free_ports(1)
    with engine(port) as running:
        yield running
