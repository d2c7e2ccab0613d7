"""Server reflection: tools ask the server what it serves."""

from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection, reflection_pb2

from .interceptor import Interceptor

NAMES = (reflection.SERVICE_NAME, "grpc.reflection.v1.ServerReflection")
"""grpcio has v1alpha alone; the messages of v1 are the same but for their package."""


class _Pool:
    """The pool of all descriptors, in which a method is a symbol, too: ghz and `grpcurl describe` ask for one."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 (protobuf's name)
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            found = self._pool.FindServiceByName(service)
            if method not in found.methods_by_name:
                raise
            return found.file


def add_reflection(services: list[str], interceptor: Interceptor) -> None:
    """Has the server describe these services, and reflection itself; v1 is not listed, since no descriptor has it."""
    servicer = reflection.aio.ReflectionServicer([*services, reflection.SERVICE_NAME], pool=_Pool())
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in NAMES:
        interceptor.add_registered_method_handlers(name, {"ServerReflectionInfo": handler})
