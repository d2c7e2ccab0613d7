"""A gateway of a later version of the contract, as today's clients will meet it: python -m tools.clients.later_version
127.0.0.1:PORT.

Its contract is today's, with more: a field, values of enums, a reason of errors.

    nextVersion00001    OK: a status, a call type and a field that today's stubs do not know
    any other id        UNAVAILABLE, for a reason that today's stubs do not know
"""

import asyncio
import sys
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from callrequest.v1 import call_request_service_pb2 as today

from .scripted import SERVICE, serve

NEW_NUMBER, NEW_FIELD, NEW_TEXT = 99, 900, "tomorrow"


def later_contract() -> descriptor_pool.DescriptorPool:
    """Today's descriptors with what a later version adds."""
    pool, known = descriptor_pool.DescriptorPool(), set[str]()

    def add(described: FileDescriptor) -> None:
        if described.name in known:
            return
        known.add(described.name)
        for needed in described.dependencies:
            add(needed)
        proto = descriptor_pb2.FileDescriptorProto()
        described.CopyToProto(proto)
        for enum in proto.enum_type:
            if enum.name in {"CallRequestStatus", "CallType"}:
                enum.value.add(name=f"{enum.name.upper()}_OF_TOMORROW", number=NEW_NUMBER)
        for message in proto.message_type:
            if message.name == "CallRequestResult":
                kind, label = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto
                message.field.add(name="expected", number=NEW_FIELD, type=kind, label=label.LABEL_OPTIONAL)
        pool.Add(proto)

    add(today.DESCRIPTOR)
    return pool


class LaterGateway:
    """Answers reads in the words of the later contract."""

    def __init__(self) -> None:
        method = later_contract().FindMethodByName(f"{SERVICE}.GetCallRequestResult")
        self._request = message_factory.GetMessageClass(method.input_type)
        self._response: Any = message_factory.GetMessageClass(method.output_type)

    def handlers(self) -> grpc.GenericRpcHandler:
        """Serves GetCallRequestResult; the other methods are UNIMPLEMENTED."""
        handler = grpc.unary_unary_rpc_method_handler(
            self._read, self._request.FromString, self._response.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"GetCallRequestResult": handler})

    async def _read(self, request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> Any:
        if request.call_request_id != "nextVersion00001":
            status = Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="The vendor is on the moon.")
            status.details.add().Pack(ErrorInfo(reason="VENDOR_ON_THE_MOON", domain="callrequest.v1"))
            details = rpc_status.to_status(status).trailing_metadata
            await context.abort(grpc.StatusCode.UNAVAILABLE, status.message, trailing_metadata=details)
        response = self._response()
        result = response.call_request_result
        result.call_request_id, result.status, result.expected = request.call_request_id, NEW_NUMBER, NEW_TEXT
        result.observed_at.GetCurrentTime()
        result.outcome.call_type = NEW_NUMBER
        return response


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], LaterGateway().handlers()))
