"""What the vendor's client does with a reply once it is here: decode, envelope, failure, translation."""

from callrequest.v1.call_request_pb2 import CallRequestResult
from callrequest.v1.cancellation_pb2 import Cancellation
from server.vendor_api.document import NotAnObject, parse
from server.vendor_api.faults import fault_of
from server.vendor_api.mapping import KNOWN_KEYS
from server.vendor_api.quirks import Observations
from server.vendor_api.translate import malformed, read_cancellation, read_envelope, read_result
from testkit.scripted_vendor import RESULT_ID


def answer(body: bytes, operation: str, observations: Observations | None = None) -> CallRequestResult | Cancellation:
    """The message of a reply at 200 for RESULT_ID. operation: result, cancel. Raises GatewayError."""
    if observations is None:
        observations = Observations()
    try:
        document = parse(body, KNOWN_KEYS)
    except NotAnObject:
        raise malformed() from None
    envelope = read_envelope(document, 200, observations)
    if fault := fault_of(200, envelope, None, observations, is_page=False):
        raise fault
    if operation == "result":
        return read_result(document, RESULT_ID, observations)
    if envelope.success is not True:
        raise malformed()
    return read_cancellation(document, RESULT_ID, observations)
