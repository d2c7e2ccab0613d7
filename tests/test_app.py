"""The server around the service: reflection, limits, TLS, and its end."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from callrequest.v1.call_request_service_pb2 import (
    CancelCallRequestRequest,
    GetCallRequestResultRequest,
)
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub
from server.app import Gateway
from server.settings import SettingsError
from testkit.failure import failure
from testkit.gateway import connected, metrics_of, started
from testkit.scripted_vendor import RESULT_ID, ScriptedVendor, later, never, pending, send

if TYPE_CHECKING:
    from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceAsyncStub

GET = GetCallRequestResultRequest(call_request_id=RESULT_ID)
SERVICE = "callrequest.v1.CallRequestService"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def _reflected(gateway: Gateway) -> list[str]:
    with grpc.insecure_channel(str(gateway.address)) as channel:
        database: Any = ProtoReflectionDescriptorDatabase(channel)
        services: list[str] = list(database.get_services())
        if SERVICE in services:
            assert database.FindFileContainingSymbol(SERVICE).package == "callrequest.v1"
        return services


async def test_reflection_lists_the_services(gateway: Gateway) -> None:
    """Tools find the contract without a file at hand."""
    services = await asyncio.to_thread(_reflected, gateway)
    assert {SERVICE, "grpc.health.v1.Health"} <= set(services)


async def test_reflection_can_be_turned_off(vendor: ScriptedVendor) -> None:
    """With REFLECTION=false the service does not describe itself."""
    async with started(vendor.url, reflection=False) as gateway:
        with pytest.raises(grpc.RpcError) as caught:
            await asyncio.to_thread(_reflected, gateway)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_request_over_64_kib_is_refused(gateway: Gateway, vendor: ScriptedVendor) -> None:
    """No caller makes the gateway hold large requests."""
    async with connected(gateway) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id="a" * (64 << 10)))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert vendor.asked == []


async def test_metadata_over_the_limit_is_refused(gateway: Gateway) -> None:
    """Nor large metadata."""
    async with connected(gateway) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.GetCallRequestResult(GET, metadata=(("x-large", "a" * (20 << 10)),))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_call_under_way_is_finished_before_the_end(vendor: ScriptedVendor) -> None:
    """Draining loses no unary call, a cancel least of all."""
    vendor.answer("result", later(0.5, send(pending())))
    async with started(vendor.url) as gateway, connected(gateway) as client:
        calls = [asyncio.ensure_future(client.GetCallRequestResult(GET)) for _ in range(20)]
        cancel = CancelCallRequestRequest(call_request_id=RESULT_ID)
        calls.append(asyncio.ensure_future(client.CancelCallRequest(cancel)))  # type: ignore[arg-type]
        await vendor.until(lambda: len(vendor.requests("result")) >= 20 and vendor.requests("cancel"))
        await gateway.drain()
        await asyncio.gather(*calls)


async def test_a_call_that_hangs_does_not_keep_the_server_beyond_its_grace(vendor: ScriptedVendor) -> None:
    """From SIGTERM to the exit it takes GRACE at most, the delay included, whatever the vendor does."""
    vendor.answer("result", never())
    async with started(vendor.url, grace=1.0, drain_delay=0.5) as gateway, connected(gateway) as client:
        call = asyncio.ensure_future(client.GetCallRequestResult(GET))
        await vendor.until(lambda: vendor.requests("result"))
        begun = asyncio.get_running_loop().time()
        await gateway.drain()
        assert 0.9 < asyncio.get_running_loop().time() - begun < 1.5
        with pytest.raises(grpc.aio.AioRpcError):
            await call


async def test_a_port_that_is_taken_is_named_by_its_setting(vendor: ScriptedVendor, gateway: Gateway) -> None:
    """A second gateway on the port fails at its start; it must not share the calls of the first."""
    with pytest.raises(SettingsError, match="GATEWAY_LISTEN"):
        await started(vendor.url, listen=str(gateway.address)).__aenter__()
    with pytest.raises(SettingsError, match="GATEWAY_METRICS_LISTEN"):
        await started(vendor.url, metrics_listen=str(gateway.metrics_address)).__aenter__()
    with pytest.raises(SettingsError, match="GATEWAY_SANDBOX_LISTEN"):
        await started(None, sandbox_listen=str(gateway.metrics_address)).__aenter__()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A CA, and a certificate of it for localhost with its key."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    paths = (tmp_path / "ca.pem", tmp_path / "certificate.pem", tmp_path / "key.pem")
    authority.cert_pem.write_to_path(str(paths[0]))
    for pem in issued.cert_chain_pems:
        pem.write_to_path(str(paths[1]), append=True)
    issued.private_key_pem.write_to_path(str(paths[2]))
    return paths


async def test_with_a_certificate_calls_are_encrypted(
    vendor: ScriptedVendor, certificate: tuple[Path, Path, Path]
) -> None:
    """TLS callers who trust the CA are served; plaintext ones and those who do not trust it are not."""
    ca, chain, key = certificate
    async with started(vendor.url, tls_certificate=chain, tls_key=key) as gateway:
        credentials = grpc.ssl_channel_credentials(ca.read_bytes())
        async with grpc.aio.secure_channel(str(gateway.address), credentials) as channel:
            await CallRequestServiceStub(channel).GetCallRequestResult(GET)
        stranger = grpc.ssl_channel_credentials(trustme.CA().cert_pem.bytes())
        async with grpc.aio.secure_channel(str(gateway.address), stranger) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await CallRequestServiceStub(channel).GetCallRequestResult(GET, timeout=2)
        async with connected(gateway) as client:
            with pytest.raises(grpc.aio.AioRpcError):
                await client.GetCallRequestResult(GET, timeout=2)


async def test_a_file_without_a_certificate_is_named_by_its_setting(vendor: ScriptedVendor, tmp_path: Path) -> None:
    """Rubbish in the certificate's file ends the start; it does not serve without."""
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    with pytest.raises(SettingsError, match="GATEWAY_TLS_CERTIFICATE"):
        await started(vendor.url, tls_certificate=rubbish, tls_key=rubbish).__aenter__()
    with pytest.raises(SettingsError, match="GATEWAY_VENDOR_CA"):
        await started(vendor.url, vendor_ca=rubbish).__aenter__()


async def test_the_metrics_show_who_is_at_fault(
    gateway: Gateway, client: "CallRequestServiceAsyncStub", vendor: ScriptedVendor
) -> None:
    """Calls by method, code and reason, and requests to the vendor by operation and outcome."""
    await client.GetCallRequestResult(GET)
    vendor.answer("result", send("", 503))
    await failure(client.GetCallRequestResult(GET))
    await failure(client.GetCallRequestResult(GetCallRequestResultRequest(call_request_id="x")))
    scraped = await metrics_of(gateway)
    labels = f'grpc_method="GetCallRequestResult",grpc_service="{SERVICE}",grpc_type="unary"'
    for sample in (
        f'grpc_server_handled_total{{grpc_code="OK",{labels}}} 1.0',
        f'grpc_server_handled_total{{grpc_code="UNAVAILABLE",{labels}}} 1.0',
        f'grpc_server_handled_total{{grpc_code="INVALID_ARGUMENT",{labels}}} 1.0',
        f"grpc_server_handling_seconds_count{{{labels}}} 3.0",
        'vendor_request_seconds_count{operation="token",outcome="2xx"} 1.0',
        'vendor_request_seconds_count{operation="result",outcome="2xx"} 1.0',
        'vendor_request_seconds_count{operation="result",outcome="5xx"} 3.0',
        'reason="VENDOR_UNAVAILABLE"} 1.0',
        'reason="INVALID_REQUEST"} 1.0',
        'vendor_quirks_total{quirk="Q01"} 1.0',
    ):
        assert sample in scraped
