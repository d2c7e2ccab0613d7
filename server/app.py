"""The only wiring: settings in, a running gateway out; its start, its drain and its end."""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, Self

from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from callrequest.v1.call_request_service_pb2_grpc import add_CallRequestServiceServicer_to_server

from .cancelling.cancellation import SETTLED_BY
from .cancelling.in_progress import CancelsInProgress
from .concurrency_limit import ConcurrencyLimit
from .observability.access_log import AccessLog
from .observability.certificate_dates import CertificateDates
from .observability.log_level import LogLevel
from .observability.logs import describe, get_log
from .observability.metrics import KnownLabels, Metrics
from .observability.sampling import Sampling
from .observability.settled_cancel import SettledCancel
from .process.embedded_sandbox import with_vendor
from .process.memory_trim import MemoryTrim
from .process.port import reserved_port
from .reading.batch import Batches
from .reading.result_cache import ResultCache, is_answer
from .reading.results import Results
from .reading.vendor_reads import SOURCES
from .reloading import FileWatcher, Watched
from .rpc.caller_limits import CallerLimits
from .rpc.callers import AnyCertificate, Callers
from .rpc.callers_file import Rules
from .rpc.channel_options import channel_options
from .rpc.core_log import OTHER, REASONS, CoreLog
from .rpc.grpc_server import GrpcServer
from .rpc.health import NAME as HEALTH
from .rpc.health import Health
from .rpc.interceptor import Interceptor
from .rpc.reflection import add_reflection
from .rpc.service import SERVICE, CallRequestService
from .rpc.thread_priority import let_threads_yield
from .settings import Address, CannotListenError, Settings, SettingsError, needs_extra, parse_address
from .vendor_api.client import VendorClient
from .vendor_api.exchange import OPERATIONS, OUTCOMES
from .vendor_api.mapping import UNREADABLE_FIELDS
from .vendor_api.opening import open_vendor
from .vendor_api.quirks import Observations, Quirk
from .watching.ended import CAUSES
from .watching.pace import Pace
from .watching.poll_limit import PollLimit
from .watching.watches import Watches
from .webhook.outcomes import OUTCOMES as PUSH_OUTCOMES

if TYPE_CHECKING:
    from .observability.tracing import Tracing
    from .state.shared_results import SharedResults

CLOSE_MARGIN = 0.5
"""Seconds of GRACE that are left to close what remains after the calls."""
MIN_TRACES_SECONDS, MAX_TRACES_SECONDS = 0.15, 1.0
"""Seconds at the end for traces that are not sent yet: a part of CLOSE_MARGIN, and what is left of GRACE."""
CANCEL_MARGIN = 0.2
"""Seconds by which cancels end before other calls, so that each still answers whether it took effect, or may have."""


KNOWN_LABELS = KnownLabels(
    quirks=[quirk.value for quirk in Quirk],
    fields=UNREADABLE_FIELDS,
    requests=list(product(OPERATIONS, OUTCOMES)),
    sources=SOURCES,
    settled_by=SETTLED_BY,
    watch_causes=CAUSES,
    webhook_outcomes=PUSH_OUTCOMES,
    handshake_failures=[*REASONS.values(), OTHER],
)
"""The series that every gateway has from its start."""


class Gateway:
    """A gateway from its start to its end: `async with Gateway(settings) as gateway: … await gateway.drain()`.

    Entering raises SettingsError when a setting turns out to be wrong: a port is taken, a file holds no certificate.

    lines_lost: returns how many lines of the log were lost, for the metrics. handshakes: reports TLS failures.
    set_log_level: sets the level at which the log begins.
    """

    def __init__(
        self,
        settings: Settings,
        access_log: AccessLog | None = None,
        lines_lost: Callable[[], int] = int,
        handshakes: CoreLog | None = None,
        set_log_level: Callable[[str], None] = lambda level: None,
    ) -> None:
        self._settings = settings
        self._set_log_level = set_log_level
        self._lines_lost = lines_lost
        self._handshakes = handshakes
        self._access_log = access_log or AccessLog(settings.log_level, None)
        self._stack = AsyncExitStack()
        self._health = Health([SERVICE])
        self._ready = False
        self._end_at = 0.0  # on the monotonic clock, once it drains
        self._reloads: list[Callable[[], None]] = []  # parts add theirs as they start
        self.address: Address
        self.metrics_address: Address | None = None
        self.webhook_address: str | None = None
        self.sandbox_url: str | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        # First, for the calls that a drain left: a second signal breaks it off.
        self._stack.push_async_callback(self._end_calls, CANCEL_MARGIN)
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        await stack.enter_async_context(MemoryTrim())
        metrics = Metrics(KNOWN_LABELS, self._lines_lost)
        if self._handshakes is not None:
            self._handshakes.on_failure = metrics.handshake_failed
        self._dates = CertificateDates(metrics.files.certificates_end)
        stack.callback(self._dates.close)
        vendor = await self._open_vendor(stack, metrics)
        if settings.workers == 1:
            listen = stack.enter_context(reserved_port(settings.listen))
        else:
            listen = parse_address(settings.listen)  # the supervisor holds the port
        self._server = server = GrpcServer(channel_options(settings.max_connection_age, settings.max_streams))
        stack.callback(metrics.flush)
        stack.callback(self._access_log.flush)
        callers = await self._open_callers(stack, metrics)
        limits = CallerLimits(enforce=settings.caller_limits == "enforce", exceeded=metrics.calls.caller_limited)
        tracing = self._open_tracing(stack, metrics)
        self._interceptor = Interceptor(server, metrics.calls, self._access_log, callers, limits, tracing)
        server.set_unknown_method_handler(self._interceptor.refuse_unknown_method)
        interceptor: Any = self._interceptor  # the generated code takes a grpc.Server
        cache = ResultCache(settings.default_max_age, settings.final_max_age, settings.cache_bytes)
        await stack.enter_async_context(cache)
        reading = ConcurrencyLimit(settings.max_reads, metrics.in_flight("read"))
        results = Results(vendor, cache, reading, metrics)
        shared = await self._open_state(stack, results, metrics)
        await stack.enter_async_context(results)
        self._cancellations = self._open_cancellations(vendor, results, metrics)
        self._watches = self._open_watches(results, metrics)
        batches = Batches(results, metrics.batch_items_asked, metrics.batch_item_failed)
        service = CallRequestService(results, self._cancellations, batches, self._watches)
        add_CallRequestServiceServicer_to_server(service, interceptor)
        add_HealthServicer_to_server(self._health, interceptor)
        if settings.reflection:
            add_reflection([SERVICE, HEALTH], interceptor)
        await self._open_webhook(stack, results, shared, metrics)
        await stack.enter_async_context(Sampling(metrics, vendor, results.vendor_reads, cache))
        await self._open_operations(stack, metrics)
        # Last: should the start fail, only the garbage collector would close the port of a server that is not started.
        self.address = self._listen(server, listen, metrics)
        stack.push_async_callback(server.stop, None)
        await server.start()
        let_threads_yield(settings.io_niceness)
        self._health.set_serving(True)
        self._ready = True

    async def broken(self) -> None:
        """Waits until gRPC's server has ended by itself: then no caller is served any more."""
        await self._server.broken()

    def reload(self) -> None:
        """Reads again every file that can be replaced while the gateway runs; a broken one changes nothing."""
        for reload in self._reloads:
            try:
                reload()
            except Exception as error:
                get_log().error("unexpected", **describe(error))

    async def drain(self, *, quick: bool = False) -> None:
        """Ends without losing a unary call, a little within GRACE. quick: for a person who waits, without the delay.

        Says NOT_SERVING and goes on serving for DRAIN_DELAY, so that clients and load balancers turn elsewhere before
        the port closes: a call that arrives in that moment would be lost. Then calls under way are finished.
        """
        settings, begun = self._settings, time.monotonic()
        self._end_at = begun + settings.grace
        grace = settings.grace - min(CLOSE_MARGIN, settings.grace / 10)
        self._ready = False
        self._health.set_serving(False)
        await asyncio.sleep(0 if quick else min(settings.drain_delay, grace - CANCEL_MARGIN))
        await self._end_calls(max(grace - (time.monotonic() - begun), 0))

    async def _end_calls(self, seconds: float) -> None:
        """Ends all calls within so many seconds, and cancels CANCEL_MARGIN earlier.

        The unary calls that are open now are answered before the server accepts no more and closes connections: up to
        half of the time. In the end it cuts off what is left with UNAVAILABLE, which would be wrong for a cancel that
        may have been sent.
        """
        until = time.monotonic() + seconds
        self._interceptor.requests.hurry()
        await self._interceptor.open_calls.replied(seconds / 2)
        seconds = until - time.monotonic()
        self._health.end_watches()
        self._watches.drain()
        self._cancellations.end_by(seconds - CANCEL_MARGIN)
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(self._server.stop(seconds, self._interceptor.open_calls.settled))
            # Until then a call that was just taken may begin a cancel.
            await asyncio.wait({stopping}, timeout=max(seconds - CANCEL_MARGIN, 0))
            await self._cancellations.finish(until - CANCEL_MARGIN - time.monotonic())

    def _open_cancellations(self, vendor: VendorClient, results: Results, metrics: Metrics) -> CancelsInProgress:
        limit = ConcurrencyLimit(self._settings.max_cancels, metrics.in_flight("cancel"))

        def settled(cancel: SettledCancel) -> None:
            metrics.cancellation_settled(cancel.settled_by)
            self._access_log.cancel_settled(cancel)

        return CancelsInProgress(vendor, limit, results.invalidate, settled)

    def _open_watches(self, results: Results, metrics: Metrics) -> Watches:
        settings = self._settings
        # Polls leave half of the reads in flight to callers, and are no more than the vendor takes in a second: no
        # caller's read waits for long behind them.
        most, rate = max(settings.max_reads // 2, 1), settings.vendor_max_calls_per_second

        def ended(call_request_id: str, cause: str, messages: int, seconds: float) -> None:
            metrics.watch_ended(cause)
            self._access_log.watch_ended(call_request_id, cause, messages, seconds)

        watches = Watches(
            results.read,
            Pace(settings.watch_pending_interval, settings.watch_in_progress_interval),
            PollLimit(most if rate is None else min(most, math.ceil(rate))),
            ConcurrencyLimit(settings.max_watches, metrics.watchers()),
            max_per_connection=max(settings.max_streams * 3 // 4, 1),
            connection_life=settings.max_connection_age,
            ended=ended,
            polled=metrics.watch_polled,
        )
        results.observe(watches)
        return watches

    def _listen(self, server: GrpcServer, listen: Address, metrics: Metrics) -> Address:
        settings, credentials = self._settings, None
        if settings.tls_key is not None and settings.tls_certificate is not None:
            from .rpc.certificates import Certificates

            certificates = Certificates(
                settings.tls_certificate, settings.tls_key, settings.tls_client_ca, metrics.files
            )
            metrics.files.begin(certificates.settings)
            self._reloads.append(partial(certificates.refresh, force=True))
            credentials = certificates.credentials()
        try:
            return server.listen(listen, credentials)
        except RuntimeError:
            names = "GATEWAY_LISTEN" + (", GATEWAY_TLS_CERTIFICATE, GATEWAY_TLS_KEY" if settings.tls_key else "")
            raise CannotListenError([f"{names}: cannot listen on {settings.listen}; is the port taken?"]) from None

    def _open_tracing(self, stack: AsyncExitStack, metrics: Metrics) -> "Tracing | None":
        """Traces calls if the settings name a collector."""
        endpoint = self._settings.otlp_endpoint
        if endpoint is None:
            return None
        try:
            from .observability.tracing import Tracing  # its library is an extra
        except ImportError:
            raise SettingsError([needs_extra("GATEWAY_OTLP_ENDPOINT", "tracing")]) from None
        tracing = Tracing(endpoint, self._settings.trace_sample_ratio, metrics.spans_dropped)

        async def close() -> None:
            left = self._end_at - CLOSE_MARGIN - time.monotonic()
            await tracing.aclose(min(max(left, MIN_TRACES_SECONDS), MAX_TRACES_SECONDS))

        stack.push_async_callback(close)
        return tracing

    async def _open_state(self, stack: AsyncExitStack, results: Results, metrics: Metrics) -> "SharedResults | None":
        """Has results shared with other processes if the settings name an engine."""
        url = self._settings.state_url
        if url is None or url.get_secret_value() == "memory://":
            return None
        try:
            from .state.ca_file import SETTING as STATE_CA
            from .state.opening import open_state  # its libraries are an extra
        except ImportError:
            raise SettingsError([needs_extra("GATEWAY_STATE_URL", "state")]) from None
        metrics.set_state_up(False)
        state = await stack.enter_async_context(open_state(self._settings, results, metrics.set_state_up, is_answer))
        results.share(state.results)
        if state.ca is not None:
            certificates = {STATE_CA: self._settings.state_ca}
            self._dates.note(certificates)
            changed = Watched(STATE_CA, state.ca, lambda _: self._dates.note(certificates))
            await self._watch_files(stack, [changed], metrics)
        return state.results

    async def _open_webhook(
        self, stack: AsyncExitStack, results: Results, shared: "SharedResults | None", metrics: Metrics
    ) -> None:
        if self._settings.webhook_listen is None:
            return
        from .webhook.opening import open_webhook  # a gateway without it has no use for its modules

        def observed(observations: Observations) -> None:
            metrics.vendor_reply(observations.quirks, [field for field, _ in observations.unrecognized])

        webhook = open_webhook(self._settings, results, shared, observed, metrics.webhook_taken)
        stack.push_async_callback(webhook.aclose)
        self.webhook_address = await webhook.start()
        await self._watch_files(stack, webhook.watched(self._dates.note), metrics)
        get_log().info("webhook", address=self.webhook_address)

    async def _open_operations(self, stack: AsyncExitStack, metrics: Metrics) -> None:
        settings = self._settings
        if not settings.metrics_listen:
            return
        from .observability.operations import OperationsServer  # a worker has no use for an HTTP server
        from .observability.status_page import StatusPage

        page = StatusPage(settings, {quirk.value: quirk.sentence for quirk in Quirk})
        log_level = LogLevel(settings.log_level, self._set_log_level)
        operations = OperationsServer(metrics.exposition, metrics.samples, lambda: self._ready, page, log_level)
        stack.push_async_callback(operations.aclose)
        self.metrics_address = await operations.start(parse_address(settings.metrics_listen))

    async def _open_callers(self, stack: AsyncExitStack, metrics: Metrics) -> Callers | AnyCertificate | None:
        settings, certificates = self._settings, None
        if settings.tls_client_ca is not None:
            from .rpc.peer_certificates import PeerCertificates

            certificates = PeerCertificates()
        if settings.callers is None:
            return None if certificates is None else AnyCertificate(certificates)

        def loaded(rules: Rules) -> None:
            for caller in rules.callers:
                if caller.max_per_second is not None:
                    metrics.calls.begin_caller(caller.name)

        callers = Callers(settings.callers, certificates, loaded)
        await self._watch_files(stack, [callers.watched], metrics)
        return callers

    async def _open_vendor(self, stack: AsyncExitStack, metrics: Metrics) -> VendorClient:
        settings = await stack.enter_async_context(with_vendor(self._settings))
        if self._settings.vendor_url is None:
            self.sandbox_url = settings.vendor_url
        vendor = await stack.enter_async_context(open_vendor(settings, metrics, self._dates.note))
        await self._watch_files(stack, vendor.files, metrics)
        return vendor.client

    async def _watch_files(self, stack: AsyncExitStack, watched: list[Watched[Any]], metrics: Metrics) -> None:
        """Has the files read again when they change, and by `reload`."""
        if not watched:
            return
        for each in watched:
            metrics.files.begin(each.settings)
        watcher = await stack.enter_async_context(FileWatcher(watched, metrics.files))
        self._reloads.append(watcher.reload)
