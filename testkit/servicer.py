"""A servicer for tests that has every method of the contract, so that a new RPC needs no change in them."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from callrequest.v1.call_request_service_pb2 import DESCRIPTOR

METHODS = DESCRIPTOR.services_by_name["CallRequestService"].methods


def servicer(unary: Callable[[MethodDescriptor], Any], streaming: Callable[[MethodDescriptor], Any]) -> Any:
    """A servicer whose methods are the handlers that these functions return: coroutine functions, or generators."""
    return SimpleNamespace(
        **{method.name: streaming(method) if method.server_streaming else unary(method) for method in METHODS}
    )


def empty_response(method: MethodDescriptor) -> Message:
    """A response of that method without any field."""
    return GetMessageClass(method.output_type)()
