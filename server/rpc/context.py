"""The type of a call's context, which grpc.aio hands to each handler."""

from typing import Any, TypeAlias

import grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
