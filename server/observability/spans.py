"""The spans of a sampled call, for those who know no tracing library: the current one, its children, events and links.

A span travels with the task of its call, and with the tasks that it starts. Where nothing is traced, or the call is not
sampled, there is none, and each of these functions costs one look at a variable.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Protocol, TypeAlias

Attributes: TypeAlias = Mapping[str, str | int | float | bool]


class Span(Protocol):
    """A part of a call. Nothing that is added to it is personal or secret: no text of the vendor's or a caller's."""

    @property
    def traceparent(self) -> str:
        """The header by which another service goes on with the trace, this span as the parent."""

    def child(self, name: str, attributes: Attributes, *, is_client: bool) -> "Span":
        """Begins a part of it. is_client: a request to another service."""

    def event(self, name: str, attributes: Attributes) -> None:
        """Adds that something happened now."""

    def link(self, other: "Span") -> None:
        """Adds that the other one, of the same trace or of another, did its work."""

    def set(self, attributes: Attributes) -> None:
        """Adds attributes."""

    def end(self, error: str | None = None) -> None:
        """Ends it. error: a class of errors, as `error.type`; None: it went well."""


_current: ContextVar[Span | None] = ContextVar("span", default=None)


def current() -> Span | None:
    """The span of the running task; None if it is not traced."""
    return _current.get()


def begin(span: Span) -> None:
    """Makes it the span of the running task."""
    _current.set(span)


def child(name: str, attributes: Attributes | None = None, *, is_client: bool = False) -> Span | None:
    """Begins a part of the running task's span; None if it is not traced."""
    span = _current.get()
    return None if span is None else span.child(name, attributes or {}, is_client=is_client)


def event(name: str, attributes: Attributes | None = None) -> None:
    """Adds an event to the running task's span."""
    span = _current.get()
    if span is not None:
        span.event(name, attributes or {})


@contextmanager
def within(span: Span | None) -> Iterator[None]:
    """Makes it the running task's span meanwhile, and ends it; with the class of an exception that passes, if one does.

    None: does nothing.
    """
    if span is None:
        yield
        return
    token = _current.set(span)
    try:
        yield
    except BaseException as error:
        span.end(reason_of(error))
        raise
    else:
        span.end()
    finally:
        _current.reset(token)


def reason_of(error: BaseException) -> str:
    """The class of an error: its ErrorReason's name, or the exception's class."""
    return getattr(error, "reason_name", None) or type(error).__name__


def outside() -> Context:
    """A context like the running task's, without its span: for a task that serves many calls."""
    context = copy_context()
    context.run(_current.set, None)
    return context
