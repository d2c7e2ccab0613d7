"""Reading results."""

from callrequest.v1.call_request_pb2 import CallRequestResult

from .deadline import Deadline
from .vendor.client import VendorClient


class Results:
    """Reads results of call requests. Every read asks the vendor, so that any max_age is kept."""

    def __init__(self, vendor: VendorClient) -> None:
        self._vendor = vendor

    async def get(self, call_request_id: str, deadline: Deadline) -> CallRequestResult:
        """The latest result. Raises GatewayError."""
        return await self._vendor.read_result(call_request_id, deadline)
