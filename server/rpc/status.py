"""A failure of the catalogue as a gRPC status with typed details (google.rpc.Status, AIP-193)."""

from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from callrequest.v1 import error_reason_pb2 as reasons

from ..errors import GatewayError

DOMAIN = "callrequest.v1"


def status_of(error: GatewayError) -> Status:
    """The status with its details: ErrorInfo always, the others where the catalogue has them."""
    status = Status(code=error.code, message=error.text)
    for detail in _details(error):
        status.details.add().Pack(detail)
    return status


def pushback_of(error: GatewayError, seconds_left: float | None) -> str | None:
    """Returns the value of `grpc-retry-pushback-ms`, which clients' own retries obey; they ignore RetryInfo.

    Milliseconds to wait; "-1", not to retry, when the caller's time would be over by then: better our status now than
    the client's DEADLINE_EXCEEDED later. None where the client's back-off does as well. seconds_left: None: no limit.
    """
    if not error.spec.wait or not error.wait_is_known:
        return None
    if seconds_left is not None and error.retry_after >= seconds_left:
        return "-1"
    return str(round(error.retry_after * 1000))


def _details(error: GatewayError) -> list[Message]:
    metadata = {}
    if error.vendor_code and error.reason == reasons.ERROR_REASON_VENDOR_ERROR:
        metadata["vendor_code"] = error.vendor_code
    details: list[Message] = [ErrorInfo(reason=error.reason_name, domain=DOMAIN, metadata=metadata)]
    if error.spec.wait:
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after * 1000))
        details.append(retry)
    if error.reason == reasons.ERROR_REASON_INVALID_REQUEST:
        violations = (
            BadRequest.FieldViolation(field=part.field, description=part.description) for part in error.violations
        )
        details.append(BadRequest(field_violations=violations))
    if error.rejected is not None:
        details.append(error.rejected)
    return details
