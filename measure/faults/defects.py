"""A case: the gateway has a defect, and a call meets it."""

from testkit.calls import identifier
from testkit.gateway_process import serving
from testkit.http2_connection import connected
from testkit.stateful_vendor import Vendor

from .fault_case import FaultCase, Findings, Form
from .stuck import SECRET

_METHOD = "grpc_method=GetCallRequestResult,grpc_service=callrequest.v1.CallRequestService"
_FAILED = f"grpc_server_failures_total{{{_METHOD},reason=INTERNAL}}"


async def _defect(form: Form, findings: Findings) -> None:
    """Reads that raise what nobody expects, beside others that do not."""
    async with (
        Vendor() as vendor,
        serving(vendor.url, module="measure.faults.stuck") as gateway,
        connected(gateway.port) as client,
    ):
        failed = [await client.read(identifier("failing", number), 3) for number in range(3)]
        others = [await client.read(identifier("sound", number), 3) for number in range(3)]
        scraped = await gateway.scrape()
        lines = gateway.logged("unexpected")
        said = gateway.errors() + str(gateway.log())
    findings.record(f"{len(failed)} end {failed[0].reason}", all(each.reason == "INTERNAL" for each in failed))
    findings.record(
        "nothing of the exception's text in an answer", not any(SECRET.encode() in each.details for each in failed)
    )
    findings.record("nor in the log", SECRET not in said)
    findings.record(f"{len(lines)} logged, {scraped[_FAILED]:.0f} counted", len(lines) == 3 == scraped[_FAILED])
    findings.record(f"{len(others)} others answered", all(each.code == 0 for each in others))


CASES = (
    FaultCase(
        "defect",
        "a handler raises what nobody expects",
        "INTERNAL, without the exception's text there or in the log, logged and counted; other calls answered",
        _defect,
    ),
)
