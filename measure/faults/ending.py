"""Cases: how a gateway ends: by SIGTERM under load, whatever hangs, and by kill -9."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

import grpc
from grpc_health.v1 import health_pb2

from callrequest.v1.call_request_service_pb2 import GetCallRequestResultRequest
from testkit.calls import at_rate, client_of, code_of, counted, health_watch, identifier
from testkit.gateway_process import GatewayProcess, serving
from testkit.http2_connection import connected
from testkit.scripted_vendor import Answer, never
from testkit.server_process import free_ports
from testkit.stateful_vendor import Vendor, after, always

from .fault_case import FaultCase, Findings, Form

_RATE = 200.0  # calls a second
_LATE = 0.5  # seconds that a process may need to end after its time
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def _get(call_request_id: str) -> GetCallRequestResultRequest:
    return GetCallRequestResultRequest(call_request_id=call_request_id)


async def _not_serving(target: str) -> float | None:
    """Returns when the health stream sends NOT_SERVING; None when it ends without."""
    async with health_watch(target) as watch:
        try:
            async for response in watch:
                if response.status == _NOT_SERVING:
                    return time.monotonic()
        except grpc.aio.AioRpcError:
            return None
    return None


async def _sigterm(form: Form, findings: Findings) -> None:
    """Polite callers turn elsewhere half a second after NOT_SERVING; stubborn ones never do.

    A call of theirs in the act of arriving may be answered CANCELLED (grpc#41785): it was not accepted.
    """
    grace = 8.0
    async with (
        Vendor() as vendor,
        serving(vendor.url, DRAIN_DELAY=1, GRACE=grace) as gateway,
        client_of(gateway.target) as polite,
        client_of(gateway.target) as stubborn,
    ):
        vendor.on_read = after(0.1, vendor.result_of)
        not_serving = asyncio.ensure_future(_not_serving(gateway.target))
        ids: dict[str, str] = {}

        async def read(who: str, number: int) -> None:
            client = polite if who == "polite" else stubborn
            asked = identifier(who, number)
            ids[asked] = await code_of(client.GetCallRequestResult(_get(asked), timeout=5))

        loads = asyncio.gather(
            at_rate(_RATE * 0.75, 2.5, lambda number: read("polite", number)),
            at_rate(_RATE * 0.25, 4, lambda number: read("stubborn", number)),
        )
        await asyncio.sleep(2)
        signalled = time.monotonic()
        gateway.signal()
        code = await gateway.ended(grace + _LATE)
        took = time.monotonic() - signalled
        await loads
        heard = await not_serving
    heard_after = None if heard is None else heard - signalled
    text = "never" if heard_after is None else f"after {heard_after * 1000:.0f} ms"
    findings.record(f"NOT_SERVING {text}", heard_after is not None and heard_after < 0.5)
    codes = [each for asked, each in ids.items() if asked.startswith("polite")]
    findings.record(f"polite callers: {counted(codes)}", set(codes) == {"OK"})
    stubborn_codes = [each for asked, each in ids.items() if asked.startswith("stubborn")]
    lost = sum(vendor.reads[asked] > 0 and each != "OK" for asked, each in ids.items())
    findings.record(f"stubborn: {counted(stubborn_codes)}, {lost} accepted and lost", not lost)
    findings.record(f"exit code {code} after {took:.1f} s of {grace:.0f}", code == 0 and took <= grace + _LATE)


def _hindered(
    grace: float, hinder: Callable[[GatewayProcess, Vendor], Awaitable[list["asyncio.Future[str]"]]], module: str
) -> Callable[[Form, Findings], Awaitable[None]]:
    """A gateway ends within GRACE whatever hinders it, and its callers get a status."""

    async def measure(form: Form, findings: Findings) -> None:
        async with Vendor() as vendor, serving(vendor.url, module=module, DRAIN_DELAY=0.5, GRACE=grace) as gateway:
            calls = await hinder(gateway, vendor)
            signalled = time.monotonic()
            gateway.signal()
            if hinder is _twice:
                await asyncio.sleep(0.2)
                gateway.signal()
            code = await gateway.ended(grace + 5)
            took = time.monotonic() - signalled
            text = f"still runs {took:.1f} s" if code is None else f"exit code {code} after {took:.1f} s"
            findings.record(f"{text}, GRACE {grace:.0f}", code is not None and took <= grace + _LATE)
            if code is None:
                gateway.signal(signal.SIGKILL)
            findings.record(f"calls under way: {counted(await asyncio.gather(*calls))}")

    return measure


async def _calls(gateway: GatewayProcess, prefix: str) -> list["asyncio.Future[str]"]:
    async def read(number: int) -> str:
        async with client_of(gateway.target) as client:
            return await code_of(client.GetCallRequestResult(_get(identifier(prefix, number)), timeout=30))

    calls: list[asyncio.Future[str]] = [asyncio.ensure_future(read(number)) for number in range(5)]
    await asyncio.sleep(0.7)
    return calls


async def _hung_vendor(gateway: GatewayProcess, vendor: Vendor) -> list["asyncio.Future[str]"]:
    vendor.on_read = always(never())
    return await _calls(gateway, "hung")


async def _twice(gateway: GatewayProcess, vendor: Vendor) -> list["asyncio.Future[str]"]:
    vendor.on_read = after(1, vendor.result_of)
    return await _calls(gateway, "twice")


async def _ignoring(gateway: GatewayProcess, vendor: Vendor) -> list["asyncio.Future[str]"]:
    return await _calls(gateway, "ignoring")


async def _blocking(gateway: GatewayProcess, vendor: Vendor) -> list["asyncio.Future[str]"]:
    return await _calls(gateway, "blocking")


async def _cancel_at_end(form: Form, findings: Findings) -> None:
    """Cancels take effect, their replies hang: they are read back in time, or in doubt; no client repeats that."""
    grace, doubt = 3.0, "CANCELLATION_OUTCOME_UNKNOWN"
    for name, workers, twice, expected in (
        ("one process", 1, False, "OK"),
        ("two workers", 2, False, "OK"),
        ("a second SIGTERM", 2, True, doubt),
    ):
        async with (
            Vendor() as vendor,
            serving(vendor.url, DRAIN_DELAY=0.5, GRACE=grace, WORKERS=workers) as gateway,
            connected(gateway.port, 8) as client,
        ):

            def commit(asked: str, vendor: Vendor = vendor) -> Answer:
                vendor.commit(asked)
                return never()

            vendor.on_cancel = commit
            ids = [identifier("end", number) for number in range(20)]
            calls = [asyncio.ensure_future(client.cancel(each, 25)) for each in ids]
            await vendor.until(lambda: vendor.posts.total() == len(ids))  # noqa: B023 (it is waited for here)
            signalled = time.monotonic()
            gateway.signal()
            if twice:
                await asyncio.sleep(0.2)
                gateway.signal()
            code = await gateway.ended(grace + _LATE)
            took = time.monotonic() - signalled
            ended = await asyncio.gather(*calls)
            lines = len(gateway.logged("cancel_settled"))
        answers = [each.outcome for each in ended]
        findings.record(f"{name}: {counted(answers)}", set(answers) == {expected})
        findings.record(f"{lines} lines for {len(ids)} cancels", lines == len(ids))
        findings.record(f"exit code {code} after {took:.1f} s of {grace:.0f}", code == 0 and took <= grace + _LATE)


async def _killed(form: Form, findings: Findings) -> None:
    (port,) = free_ports(1)
    async with Vendor() as vendor, serving(vendor.url, port=port) as gateway, client_of(gateway.target) as client:
        calls = [
            asyncio.ensure_future(code_of(client.GetCallRequestResult(_get(identifier("killed", n)), timeout=5)))
            for n in range(100)
        ]
        await asyncio.sleep(0.02)
        gateway.signal(signal.SIGKILL)
        await gateway.ended(5)
        begun = time.monotonic()
        async with serving(vendor.url, port=port) as again:
            started = time.monotonic() - begun
            codes = await asyncio.gather(
                *(
                    code_of(client.GetCallRequestResult(_get(identifier("again", n)), timeout=5, wait_for_ready=True))
                    for n in range(20)
                )
            )
            await asyncio.gather(*calls)
            findings.record(f"serves again after {started:.1f} s", again.runs and started < 10)
    findings.record(f"next 20: {counted(codes)}", set(codes) == {"OK"})


CASES = (
    FaultCase(
        "sigterm",
        "SIGTERM under 200 calls/s, a stream open",
        "NOT_SERVING at once, no accepted call lost, exit within GRACE",
        _sigterm,
    ),
    FaultCase("sigterm-twice", "a second SIGTERM", "exit within GRACE", _hindered(8, _twice, "server")),
    FaultCase(
        "sigterm-hung", "SIGTERM while the vendor hangs", "exit within GRACE", _hindered(3, _hung_vendor, "server")
    ),
    FaultCase(
        "cancel-at-end",
        "SIGTERM while cancels have been sent and their replies hang",
        "OK by reading back, after a second SIGTERM CANCELLATION_OUTCOME_UNKNOWN; a line each, exit within GRACE",
        _cancel_at_end,
        timeout=60,
    ),
    FaultCase(
        "sigterm-ignored",
        "SIGTERM while a handler ignores its end",
        "exit within GRACE",
        _hindered(3, _ignoring, "measure.faults.stuck"),
    ),
    FaultCase(
        "sigterm-blocked",
        "SIGTERM while a handler holds the event loop",
        "exit within GRACE",
        _hindered(3, _blocking, "measure.faults.stuck"),
    ),
    FaultCase("kill", "kill -9 under load, and started again", "serves at once, 20 of 20", _killed, timeout=45),
)
