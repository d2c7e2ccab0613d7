"""Serves gateways that are played."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from callrequest.v1 import call_request_service_pb2 as today

SERVICE = today.DESCRIPTOR.services_by_name["CallRequestService"].full_name


async def serve(address: str, handlers: grpc.GenericRpcHandler) -> None:
    """Serves in good health until it is killed."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers,))
    healthy = health.HealthServicer()
    for service in ("", SERVICE):
        await healthy.set(service, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()
