"""One call as the interceptor sees it: admits it, ends it with a status of the catalogue, logs and counts it."""

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import GatewayError
from ..observability import spans
from ..observability.access_log import AccessLog
from ..observability.call_metrics import CallMetrics, Method
from ..observability.logs import describe, get_log
from ..request_ids import RequestIds
from ..validation import is_call_request_id
from .call_metadata import Metadata, MetadataTooLargeError, begin_ids, trailers_of
from .caller_limits import CallerLimits
from .callers import AnyCertificate, Callers
from .callers_file import ANONYMOUS, UNKNOWN, Caller
from .context import Context
from .open_calls import OpenCalls
from .request_reader import ServerEndsError
from .status import pushback_of, status_of

if TYPE_CHECKING:
    from ..observability.tracing import CallSpan, Tracing  # its library is an extra


_CODES = {code.value[0]: code for code in grpc.StatusCode}
_NO_IDS = RequestIds("")


@dataclass(frozen=True, slots=True)
class CallEnvironment:
    """What all calls need. limits: None: no caller has a limit. tracing: None: no call is traced."""

    metrics: CallMetrics
    access_log: AccessLog
    limits: CallerLimits | None
    open_calls: OpenCalls
    tracing: "Tracing | None"


class InterceptedCall:
    """One call: refuses a caller that may not call; counts and logs how it ended, and sends its status.

    callers: None: the method is open to all. needs: the permission that its caller must have; None: it is a probe.
    """

    __slots__ = (
        "_begun",
        "_caller",
        "_callers",
        "_context",
        "_count",
        "_environment",
        "_ids",
        "_metadata",
        "_method",
        "_needs",
        "_span",
        "request",
    )

    def __init__(
        self,
        environment: CallEnvironment,
        callers: Callers | AnyCertificate | None,
        method: Method,
        needs: str | None,
        context: Context,
    ) -> None:
        self._environment = environment
        self._callers = callers
        self._method = method
        self._needs = needs
        self._context = context
        self._caller = ANONYMOUS if callers is None else UNKNOWN
        self._begun = time.perf_counter()
        self._ids = _NO_IDS
        self._span: CallSpan | None = None
        self._metadata: Metadata = ()
        self.request: Any = None
        open_calls = environment.open_calls
        self._count = count = open_calls.unary if method.kind == "unary" else open_calls.streaming
        count.number += 1

    def admit(self) -> None:
        """Admits the call: its metadata, its caller, and how often that caller calls. Raises what refuses it."""
        self.read_metadata()
        caller = self._identify()
        if caller is not None and self._environment.limits is not None:
            self._environment.limits.admit(caller)

    def read_metadata(self) -> None:
        """Reads the call's ids, and has its trailers carry them. Raises MetadataTooLargeError."""
        metadata: Any = self._context.invocation_metadata() or ()
        self._ids = ids = begin_ids(metadata)
        self._metadata = metadata
        tracing = self._environment.tracing
        if tracing is not None and self._needs is not None:
            self._span = span = tracing.begin_call(_span_name(self._method), ids.traceparent)
            if span is not None:
                spans.begin(span)
                self._ids = ids = ids._replace(trace_id=span.trace_id)
        self._context.set_trailing_metadata(trailers_of(ids))

    def check_caller(self) -> None:
        """Identifies the caller again, who may have lost the permission since. Raises what refuses it."""
        self._identify()

    def _identify(self) -> Caller | None:
        """Identifies the caller. Raises CALLER_UNAUTHENTICATED, CALLER_FORBIDDEN."""
        if self._callers is None:
            return None
        caller = self._callers.identify(self._context.auth_context(), self._metadata)
        self._caller = caller.name
        if self._needs not in caller.may:
            raise GatewayError(reasons.ERROR_REASON_CALLER_FORBIDDEN)
        return caller

    async def failed(self, error: BaseException) -> BaseException:
        """Ends a call that raised: with its status, or INTERNAL. Returns what its handler must then raise.

        grpc keeps the exception of an abort with the call. Its traceback would keep the frames of the handler, and they
        the call with its metadata, until the garbage collector looks at the oldest generation: in a gateway that is
        idle, for hours. So nothing that a frame of ours refers to may be reached from it.
        """
        try:
            await self._end(error)
        except grpc.aio.AbortError as aborted:
            error = aborted
        if isinstance(error, grpc.aio.AbortError):
            error.__traceback__ = error.__context__ = None
        elif isinstance(error, grpc.aio.InternalError):
            error = asyncio.CancelledError()  # grpc.aio would log the other as a defect
        return error

    async def _end(self, error: BaseException) -> None:
        if isinstance(error, grpc.aio.AbortError):
            self.ended(_CODES[_number(self._context.code())].name)
        elif isinstance(error, GeneratorExit) or (isinstance(error, asyncio.CancelledError) and _asked_to_stop()):
            left = self._context.time_remaining()
            self.ended("CANCELLED" if left is None or left > 0 else "DEADLINE_EXCEEDED")
        elif isinstance(error, GatewayError):
            await self._abort(error)
        elif isinstance(error, MetadataTooLargeError):  # as grpc's core does with clients that know its bound
            self.ended("RESOURCE_EXHAUSTED")
            await self._context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "The metadata has more than 8 KiB.")
        elif isinstance(error, ServerEndsError):  # as grpc's core ends what is left after GRACE
            self.ended("UNAVAILABLE")
            await self._context.abort(grpc.StatusCode.UNAVAILABLE, "The gateway shuts down.")
        elif isinstance(error, grpc.aio.InternalError):  # a write failed: the caller is gone
            self.ended("CANCELLED")
        # A CancelledError that nobody asked for would leave the caller waiting until its deadline (grpc#29248).
        elif isinstance(error, Exception | asyncio.CancelledError):
            get_log().error("unexpected", method=self._method.name, **describe(error))
            await self._abort(GatewayError(reasons.ERROR_REASON_INTERNAL))

    async def _abort(self, error: GatewayError) -> NoReturn:
        status, code = status_of(error), _CODES[error.code]
        self.ended(code.name, error.reason_name)
        trailers = [("grpc-status-details-bin", status.SerializeToString()), *trailers_of(self._ids)]
        if pushback := pushback_of(error, self._context.time_remaining()):
            trailers.append(("grpc-retry-pushback-ms", pushback))
        await self._context.abort(code, status.message, trailing_metadata=tuple(trailers))

    def ended(self, code: str, reason: str | None = None) -> None:
        """Counts and logs it. code: a status code's name; reason: that of an ErrorReason."""
        now, to = time.perf_counter(), self._environment
        seconds, to.open_calls.ended_at = now - self._begun, now
        self._count.number -= 1
        to.metrics.ended(self._method, None if self._needs is None else self._caller, code, reason, seconds)
        to.access_log.ended(
            self._method.name,
            code,
            reason,
            seconds,
            getattr(self.request, "call_request_id", ""),
            None if self._caller is ANONYMOUS else self._caller,
            self._ids.request_id or None,
            self._ids.trace_id,
            probe=self._needs is None and reason is None,  # a probe that fails by our catalogue is logged as any call
            stranger=self._needs is None or self._caller is UNKNOWN,
        )
        if self._span is not None:
            self._span.call_ended(code, reason, self._span_attributes())

    def _span_attributes(self) -> dict[str, str]:
        attributes, call_request_id = {"callrequest.caller": self._caller}, getattr(self.request, "call_request_id", "")
        if is_call_request_id(call_request_id):  # else it is text of the caller's, and may be anything
            attributes["callrequest.id"] = call_request_id
        if self._ids.request_id:
            attributes["callrequest.request_id"] = self._ids.request_id
        return attributes


def _span_name(method: Method) -> str:
    """A method's name in traces."""
    return "_OTHER" if method.service == "unknown" else f"{method.service}/{method.name}"


def _asked_to_stop() -> bool:
    """Whether this task itself was cancelled: the caller left or ran out of time, or the server stops."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _number(code: Any) -> int:
    """A status code's number: grpc.aio's context returns a number or a StatusCode."""
    number: int = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return number
