"""What every call passes: its caller is known, it ends with a status of the catalogue, a line in the log, and metrics.

It is put around the handlers when a service is registered: an interceptor would do the same and cost each call 10 µs
more. It takes bytes and gives bytes: what fails while a request is read or a response is written fails inside it, where
grpc.aio alone would answer UNKNOWN with a parser's or an exception's text.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import GatewayError, invalid
from ..observability.access_log import AccessLog
from ..observability.logs import describe, get_log
from ..observability.metrics import Metrics
from .callers import PERMISSION_BY_METHOD, Callers
from .callers_file import ANONYMOUS, UNKNOWN
from .server_group import ServerGroup
from .status import pushback_of, status_of

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_TYPES = {  # by (request_streaming, response_streaming)
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}
_PROBES = ("grpc.health.", "grpc.reflection.")  # open to all; logged at debug only: they come all day


class Interceptor:
    """Stands in for the server where services are registered: `add_…Servicer_to_server(servicer, interceptor)`.

    callers: who may call, but for health and reflection; None: whoever can connect.
    """

    def __init__(
        self,
        server: grpc.aio.Server | ServerGroup,
        metrics: Metrics,
        access_log: AccessLog,
        callers: Callers | None = None,
    ) -> None:
        self._server = server
        self._metrics = metrics
        self._access_log = access_log
        self._callers = callers

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Nothing: generated code registers the same handlers in two ways."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Registers a service's handlers, guarded.

        Each method has a queue of its own in grpc's core for the calls that wait to be taken, so that a cancel does
        not stand behind a thousand reads, as it would among generic handlers.
        """
        guarded = {name: self._intercepted(service, name, handler) for name, handler in handlers.items()}
        self._server.add_registered_method_handlers(service, guarded)

    def _intercepted(self, service: str, name: str, handler: Handler) -> Handler:
        label = (_TYPES[handler.request_streaming, handler.response_streaming], service, name)
        probe = service.startswith(_PROBES)
        begin = partial(
            _Call,
            self._metrics,
            self._access_log,
            None if probe else self._callers,
            label,
            None if probe else PERMISSION_BY_METHOD.get(name, ""),
        )
        read, write = _reader(handler), _writer(handler)
        behaviour: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        yields = inspect.isasyncgenfunction(behaviour)

        async def single(received: Any, context: Context) -> bytes:
            call = begin(context)
            try:
                call.admit()
                call.request = read(received)
                response = write(await behaviour(call.request, context))
            except BaseException as error:
                await call.failed(error)
                raise
            call.ended("OK")
            return response

        async def streaming(received: Any, context: Context) -> None:
            call = begin(context)
            try:
                call.admit()
                call.request = read(received)
                if yields:
                    async with aclosing(behaviour(call.request, context)) as responses:
                        async for response in responses:
                            call.admit()  # again: a caller that was struck off the file gets nothing more
                            # Yielded, it would fail outside of this; serialized by grpc, with a text of grpc's.
                            await context.write(write(response))
                else:
                    await behaviour(call.request, context)  # it hands its messages to context.write itself
            except BaseException as error:
                await call.failed(error)
                raise
            call.ended("OK")

        if not handler.response_streaming:
            make = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_unary_rpc_method_handler
            )
            return make(single)
        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        return make(streaming, response_serializer=write)


class _Call:
    """One call on its way: who may not call is refused, and how it ended is counted, logged and told to the caller.

    callers: None: it is open to all. needs: the permission its caller must have; None: it is a probe.
    """

    __slots__ = ("_access_log", "_begun", "_caller", "_callers", "_context", "_label", "_metrics", "_needs", "request")

    def __init__(
        self,
        metrics: Metrics,
        access_log: AccessLog,
        callers: Callers | None,
        label: tuple[str, str, str],
        needs: str | None,
        context: Context,
    ) -> None:
        self._metrics = metrics
        self._access_log = access_log
        self._callers = callers
        self._label = label
        self._needs = needs
        self._context = context
        self._caller = ANONYMOUS
        self._begun = time.perf_counter()
        self.request: Any = None

    def admit(self) -> None:
        """Finds out who calls. Raises CALLER_UNAUTHENTICATED, CALLER_FORBIDDEN."""
        if self._callers is None:
            return
        self._caller = UNKNOWN
        caller = self._callers.identify(self._context.auth_context(), self._context.invocation_metadata() or ())
        self._caller = caller.name
        if self._needs not in caller.may:
            raise GatewayError(reasons.ERROR_REASON_CALLER_FORBIDDEN)

    async def failed(self, error: BaseException) -> None:
        """Ends a call that raised: as its error says, or as INTERNAL. Returns when grpc has told the caller itself."""
        if isinstance(error, grpc.aio.AbortError):
            self.ended(_CODES[_number(self._context.code())].name)
        elif isinstance(error, GeneratorExit) or (isinstance(error, asyncio.CancelledError) and _asked_to_stop()):
            left = self._context.time_remaining()
            self.ended("CANCELLED" if left is None or left > 0 else "DEADLINE_EXCEEDED")
        elif isinstance(error, GatewayError):
            await self._abort(error)
        elif isinstance(error, grpc.aio.InternalError):  # what was written found no caller any more
            self.ended("CANCELLED")
            raise asyncio.CancelledError from None  # grpc.aio would log the other as a defect
        # A CancelledError that nobody asked for would leave the caller waiting until its deadline (grpc#29248).
        elif isinstance(error, Exception | asyncio.CancelledError):
            get_log().error("unexpected", method=self._label[2], **describe(error))
            await self._abort(GatewayError(reasons.ERROR_REASON_INTERNAL))

    async def _abort(self, error: GatewayError) -> NoReturn:
        status, code = status_of(error), _CODES[error.code]
        self.ended(code.name, error.reason_name)
        trailers: list[tuple[str, str | bytes]] = [("grpc-status-details-bin", status.SerializeToString())]
        if pushback := pushback_of(error, self._context.time_remaining()):
            trailers.append(("grpc-retry-pushback-ms", pushback))
        await self._context.abort(code, status.message, trailing_metadata=tuple(trailers))

    def ended(self, code: str, reason: str | None = None) -> None:
        """Counts and logs it. code: a status code's name; reason: that of an ErrorReason."""
        seconds = time.perf_counter() - self._begun
        self._metrics.call_ended(self._label, None if self._needs is None else self._caller, code, reason, seconds)
        self._access_log.ended(
            self._label[2],
            code,
            reason,
            seconds,
            getattr(self.request, "call_request_id", ""),
            None if self._callers is None else self._caller,
            probe=self._needs is None,
        )


def _reader(handler: Handler) -> Callable[[Any], Any]:
    """Reads a request, or each of a stream of them; bytes that are no such message are INVALID_REQUEST."""
    parse = handler.request_deserializer
    assert parse is not None

    def read(received: bytes) -> Any:
        try:
            return parse(received)
        except DecodeError:
            raise invalid("", "The bytes are no message of the type that this method takes.") from None

    async def read_each(received: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for each in received:
            yield read(each)

    return read_each if handler.request_streaming else read


def _writer(handler: Handler) -> Callable[[Any], bytes]:
    """Serializes a response, unless it comes as bytes."""
    serialize = handler.response_serializer
    assert serialize is not None
    return lambda response: response if response.__class__ is bytes else serialize(response)


def _asked_to_stop() -> bool:
    """Whether this task was itself cancelled: the caller left or ran out of time, or the server stops."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _number(code: Any) -> int:
    """A status code's number: grpc.aio's context gives it as a number or as a StatusCode."""
    number: int = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return number
