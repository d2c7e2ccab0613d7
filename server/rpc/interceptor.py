"""Wraps every handler: identifies the caller, ends the call with a status of the catalogue, logs and counts it.

It wraps the handlers when a service is registered: an interceptor of grpc's would do the same and cost each call 10 µs
more. It takes bytes and returns bytes, so that a request that cannot be decoded and a response that cannot be
serialized fail inside it; grpc.aio alone would answer UNKNOWN with a parser's or an exception's text.

All methods are registered as methods with a stream of requests, since grpc.aio calls the handlers of those as soon as a
call's headers are there: a call whose request never becomes whole has a caller, a bound of time, a line and a count.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from ..errors import invalid
from ..observability.access_log import AccessLog
from ..observability.call_metrics import CallMetrics, Method
from .caller_limits import CallerLimits
from .callers import PERMISSION_BY_METHOD, AnyCertificate, Callers
from .context import Context
from .grpc_server import GrpcServer
from .intercepted_call import CallEnvironment, InterceptedCall
from .open_calls import OpenCalls
from .request_reader import RequestReader
from .stream import ResponseStream

if TYPE_CHECKING:
    from ..observability.tracing import Tracing  # its library is an extra

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_KINDS = {  # by (request_streaming, response_streaming)
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}
_PROBES = ("grpc.health.", "grpc.reflection.")  # open to all; logged at debug only: they come all day
_UNKNOWN_METHOD = Method("unary", "unknown", "unknown")  # in logs and metrics, which never hold what a caller sent


class Interceptor:
    """Takes the server's place where services are registered: `add_…Servicer_to_server(servicer, interceptor)`.

    callers: who may call the methods that are neither health nor reflection; None: whoever can connect. limits: how
    often.
    """

    def __init__(
        self,
        server: grpc.aio.Server | GrpcServer,
        metrics: CallMetrics,
        access_log: AccessLog,
        callers: Callers | AnyCertificate | None = None,
        limits: CallerLimits | None = None,
        tracing: "Tracing | None" = None,
    ) -> None:
        self._server = server
        self._metrics = metrics
        metrics.begin_method(_UNKNOWN_METHOD)
        self._callers = callers
        self.requests = RequestReader()
        self.open_calls = OpenCalls()
        self._environment = CallEnvironment(metrics, access_log, limits, self.open_calls, tracing)

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Does nothing: generated code registers the same handlers in two ways."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Registers a service's handlers, wrapped.

        grpc's core keeps a queue of waiting calls for each registered method, so that a cancel does not wait behind a
        thousand reads, as it would among generic handlers.
        """
        for name, handler in handlers.items():
            self._metrics.begin_method(_method(service, name, handler))
        wrapped = {name: self._intercepted(service, name, handler) for name, handler in handlers.items()}
        self._server.add_registered_method_handlers(service, wrapped)

    async def refuse_unknown_method(self, context: Context) -> NoReturn:
        """Ends a call of a method that is not registered with UNIMPLEMENTED; it is logged and counted as `unknown`."""
        call = InterceptedCall(self._environment, self._callers, _UNKNOWN_METHOD, "", context)
        try:
            call.read_metadata()
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "There is no such method here.")
        except BaseException as error:
            end = await call.failed(error)
        del call, context
        raise end

    def _intercepted(self, service: str, name: str, handler: Handler) -> Handler:
        method, is_probe = _method(service, name, handler), service.startswith(_PROBES)
        begin = (
            partial(InterceptedCall, self._environment, None, method, None)
            if is_probe
            else partial(InterceptedCall, self._environment, self._callers, method, PERMISSION_BY_METHOD.get(name, ""))
        )
        requests, decode, write = self.requests, _decoder(handler), _writer(handler)
        behaviour: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        yields = inspect.isasyncgenfunction(behaviour)

        async def decode_each(context: Context) -> AsyncIterator[Any]:
            async for each in requests.each(context):
                yield decode(each)

        takes_one = not handler.request_streaming

        async def single(_: object, context: Context) -> bytes:
            call = begin(context)
            try:
                call.admit()
                call.request = decode(await requests.read(context)) if takes_one else decode_each(context)
                response = write(await behaviour(call.request, context))
                call.ended("OK")
                return response
            except BaseException as error:
                end = await call.failed(error)
            del call, context  # see failed
            raise end

        async def streaming(_: object, context: Context) -> None:
            call = begin(context)
            try:
                call.admit()
                call.request = decode(await requests.read(context)) if takes_one else decode_each(context)
                if yields:
                    async with aclosing(behaviour(call.request, context)) as responses:
                        async for response in responses:
                            call.check_caller()  # one that was removed from the file gets nothing more
                            # Yielded, it would fail outside of this; serialized by grpc, with a text of grpc's.
                            await context.write(write(response))
                else:  # it writes its messages itself
                    await behaviour(call.request, ResponseStream(context, call.check_caller))
                call.ended("OK")
                return
            except BaseException as error:
                end = await call.failed(error)
            del call, context  # see failed
            raise end

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(streaming, response_serializer=write)
        return grpc.stream_unary_rpc_method_handler(single)


def _method(service: str, name: str, handler: Handler) -> Method:
    return Method(_KINDS[handler.request_streaming, handler.response_streaming], service, name)


def _decoder(handler: Handler) -> Callable[[bytes], Any]:
    """Decodes a request; bytes that are no such message are INVALID_REQUEST."""
    parse = handler.request_deserializer
    assert parse is not None

    def decode(received: bytes) -> Any:
        try:
            return parse(received)
        except DecodeError:
            raise invalid("", "The bytes are no message of the type that this method takes.") from None

    return decode


def _writer(handler: Handler) -> Callable[[Any], bytes]:
    """Serializes a response, unless it comes as bytes."""
    serialize = handler.response_serializer
    assert serialize is not None
    return lambda response: response if response.__class__ is bytes else serialize(response)
