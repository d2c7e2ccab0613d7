"""What the shared state hands to others. Nothing here needs the extra: a gateway without an engine knows these, too."""

from typing import Generic, NamedTuple, Protocol, TypeVar


class EngineError(Exception):
    """The engine did not run a script; the caller goes on without it."""


class Readable(Protocol):
    """What a read of the vendor returns: enough of it to be shared."""

    @property
    def answer(self) -> bytes: ...
    @property
    def final(self) -> bool: ...


Read = TypeVar("Read", bound=Readable)


class SharedResult(NamedTuple):
    """A result in the engine.

    answer: serialized, as callers get it. read_at: on the event loop's clock, in seconds; of a final one that was
    pushed, when the push came.
    engine_ms: when the read began, or what was pushed occurred, by the engine's clock in ms. waited: another process
    was still reading it when this one asked; else it was known already.
    """

    answer: bytes
    final: bool
    read_at: float
    engine_ms: int
    waited: bool


class OwnResult(NamedTuple, Generic[Read]):
    """A result that this process read itself. engine_ms: as in SharedResult; 0 when it is not shared."""

    reading: Read
    engine_ms: int

    @property
    def answer(self) -> bytes:
        """The result, serialized."""
        return self.reading.answer


class Message(NamedTuple):
    """What a process published. engine_ms: when the result was read or the change was made, by the engine's clock.

    kind: result, final: a result was stored, which may still change, or cannot; changed: what is known may not be true
    any more; released: a lease ended.
    """

    call_request_id: str
    engine_ms: int
    kind: str
