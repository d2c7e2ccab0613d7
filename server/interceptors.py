"""What every call passes: its caller is known, it ends with a status of the catalogue, a line in the log, and metrics.

One interceptor, since each costs some 10 µs. It takes bytes and gives bytes: what fails while a request is read or a
response is written fails inside it, where grpc.aio alone would answer UNKNOWN with a parser's or an exception's text.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, NoReturn, Self, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from callrequest.v1 import error_reason_pb2 as reasons

from .callers import PERMISSION_BY_METHOD, Callers
from .callers_file import ANONYMOUS, UNKNOWN
from .errors import GatewayError, invalid
from .logs import describe, get_log
from .metrics import Metrics
from .status import status_of
from .validation import is_call_request_id

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_TYPES = {  # by (request_streaming, response_streaming)
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}
_FOR_OPERATORS = frozenset({"INTERNAL", "UNAVAILABLE", "UNKNOWN"})
_PROBES = ("grpc.health.", "grpc.reflection.")  # open to all; logged at debug only: they come all day


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Guards all calls of all services, health and reflection included.

    callers: who may call, but for health and reflection; None: whoever can connect.
    """

    def __init__(self, metrics: Metrics, callers: Callers | None = None) -> None:
        self._metrics = metrics
        self._callers = callers
        self._guarded: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        method = handler_call_details.method
        guarded = self._guarded.get(method)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None:  # no such method: grpc answers UNIMPLEMENTED
                return None
            guarded = self._guarded[method] = self._guard(method, handler)
        return guarded

    def _guard(self, method: str, handler: Handler) -> Handler:
        service, _, name = method.removeprefix("/").rpartition("/")
        label = (_TYPES[handler.request_streaming, handler.response_streaming], service, name)
        needs = None if service.startswith(_PROBES) else PERMISSION_BY_METHOD.get(name, "")
        begin = partial(_Call, self._metrics, self._callers, label, needs)
        read, write = _reader(handler), handler.response_serializer
        behaviour: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        assert write is not None

        async def single(received: Any, context: Context) -> bytes:
            async with begin(context) as call:
                call.admit()
                call.request = read(received)
                return write(await behaviour(call.request, context))

        async def yielding(received: Any, context: Context) -> AsyncIterator[bytes]:
            async with begin(context) as call:
                call.admit()
                call.request = read(received)
                async with aclosing(behaviour(call.request, context)) as responses:
                    async for response in responses:
                        call.admit()  # again: a caller that was struck off the file gets nothing more
                        yield write(response)

        async def writing(received: Any, context: Context) -> None:
            async with begin(context) as call:
                call.admit()
                call.request = read(received)
                await behaviour(call.request, context)

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
        if inspect.isasyncgenfunction(behaviour):
            return make(yielding)
        return make(writing, response_serializer=write)  # it hands its messages to context.write itself


class _Call:
    """One call on its way: who may not call is refused, and how it ended is counted, logged and told to the caller.

    needs: the permission its caller must have; None: it is open to all.
    """

    __slots__ = ("_begun", "_caller", "_callers", "_context", "_label", "_metrics", "_needs", "request")

    def __init__(
        self,
        metrics: Metrics,
        callers: Callers | None,
        label: tuple[str, str, str],
        needs: str | None,
        context: Context,
    ) -> None:
        self._metrics = metrics
        self._callers = None if needs is None else callers
        self._label = label
        self._needs = needs
        self._context = context
        self._caller = ANONYMOUS
        self._begun = time.perf_counter()
        self.request: Any = None

    async def __aenter__(self) -> Self:
        return self

    def admit(self) -> None:
        """Finds out who calls. Raises CALLER_UNAUTHENTICATED, CALLER_FORBIDDEN."""
        if self._callers is None:
            return
        self._caller = UNKNOWN
        caller = self._callers.identify(self._context.auth_context(), self._context.invocation_metadata() or ())
        self._caller = caller.name
        if self._needs not in caller.may:
            raise GatewayError(reasons.ERROR_REASON_CALLER_FORBIDDEN)

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._ended("OK")
        elif isinstance(error, grpc.aio.AbortError):
            self._ended(_CODES[_number(self._context.code())].name)
        elif isinstance(error, GeneratorExit) or (isinstance(error, asyncio.CancelledError) and _asked_to_stop()):
            left = self._context.time_remaining()
            self._ended("CANCELLED" if left is None or left > 0 else "DEADLINE_EXCEEDED")
        elif isinstance(error, GatewayError):
            await self._fail(error)
        # A CancelledError that nobody asked for would leave the caller waiting until its deadline (grpc#29248).
        elif isinstance(error, Exception | asyncio.CancelledError):
            get_log().error("unexpected", method=self._label[2], **describe(error))
            await self._fail(GatewayError(reasons.ERROR_REASON_INTERNAL))

    async def _fail(self, error: GatewayError) -> NoReturn:
        status, code = status_of(error), _CODES[error.code]
        self._ended(code.name, error.reason_name)
        details = ("grpc-status-details-bin", status.SerializeToString())
        await self._context.abort(code, status.message, trailing_metadata=(details,))

    def _ended(self, code: str, reason: str | None = None) -> None:
        seconds = time.perf_counter() - self._begun
        _, service, method = self._label
        self._metrics.call_ended(self._label, code, reason, seconds)
        if self._needs is not None:
            self._metrics.call_by_caller(self._caller, method, code)
        log = get_log()
        write = log.debug if service.startswith(_PROBES) else log.warning if code in _FOR_OPERATORS else log.info
        fields: dict[str, Any] = {"method": method, "code": code, "duration_ms": round(seconds * 1000, 2)}
        if self._callers is not None:
            fields["caller"] = self._caller
        if reason is not None:
            fields["reason"] = reason
        asked = getattr(self.request, "call_request_id", "")
        if is_call_request_id(asked):  # else it is text of the caller's, and may be anything
            fields["call_request_id"] = asked
        write("call", **fields)


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


def _asked_to_stop() -> bool:
    """Whether this task was itself cancelled: the caller left or ran out of time, or the server stops."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _number(code: Any) -> int:
    """A status code's number: grpc.aio's context gives it as a number or as a StatusCode."""
    number: int = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return number
