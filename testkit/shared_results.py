"""Replicas that share results, without gateways around them, and a vendor that counts."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from server.deadline import Deadline
from server.state.ca_file import ca_file
from server.state.connecting import client_factory, parse_state_url
from server.state.encryption import Encryption
from server.state.shared_state import SharedState
from server.state.values import Message

ID = "77b2c4d5e6f7g890"
KEY = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Read:
    """What the vendor answered."""

    answer: bytes
    final: bool = False


class CountingVendor:
    """Answers each read after some seconds with the number of that read."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.seconds = seconds
        self.reads: Counter[str] = Counter()
        self.final = False

    async def read(self, call_request_id: str) -> Read:
        """One read at the vendor."""
        self.reads[call_request_id] += 1
        answer = f"{call_request_id} {self.reads[call_request_id]}".encode()
        await asyncio.sleep(self.seconds)
        return Read(answer, self.final)


class Replica:
    """One process as far as the shared state is concerned."""

    def __init__(
        self, url: str, vendor: CountingVendor, keys: list[bytes], final_max_age: float, ca: Path | None = None
    ) -> None:
        make = client_factory(parse_state_url(url), ca_file(ca))
        self.messages: list[Message] = []
        self.gaps = 0
        self.state = SharedState(make, Encryption(keys), final_max_age, self, lambda up: None)
        self._vendor = vendor

    async def read(
        self, call_request_id: str = ID, *, max_age: float = 60.0, final_max_age: float = 3600.0, seconds: float = 20.0
    ) -> bytes:
        """Reads through the shared state."""
        result = await self.state.results.read(
            call_request_id, max_age, final_max_age, Deadline.after(seconds), lambda: self._vendor.read(call_request_id)
        )
        return result.answer

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until something is so, for 20 s at most. Raises TimeoutError."""
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 (nothing to wait for)
                await asyncio.sleep(0.005)

    @property
    def is_up(self) -> bool:
        """Whether it shares."""
        return self.state.engine.is_up

    def published(self, message: Message) -> None:
        self.messages.append(message)

    def missed(self) -> None:
        self.gaps += 1


@asynccontextmanager
async def replica(
    url: str,
    vendor: CountingVendor,
    *,
    keys: list[bytes] | None = None,
    final_max_age: float = 3600,
    ca: Path | None = None,
) -> AsyncIterator[Replica]:
    """A replica that shares by the engine at that address."""
    running = Replica(url, vendor, [KEY] if keys is None else keys, final_max_age, ca)
    async with running.state:
        await running.until(lambda: running.is_up and running.state.subscriber.is_subscribed)
        yield running
