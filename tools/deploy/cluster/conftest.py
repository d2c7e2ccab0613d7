"""One API server for all tests here."""

from collections.abc import Iterator

import pytest

from .api_server import ApiServer, api_server


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    with api_server() as running:
        yield running
