"""How a cancel fails: the errors of the catalogue that only a cancel raises, or raises in its own way."""

from google.rpc import code_pb2 as codes

from callrequest.v1 import error_reason_pb2 as reasons
from callrequest.v1.cancellation_pb2 import CancellationRejected

from ..errors import GatewayError


def not_allowed(rejected: CancellationRejected) -> GatewayError:
    """CANCELLATION_NOT_ALLOWED: the vendor does not cancel this call request any more."""
    return GatewayError(reasons.ERROR_REASON_CANCELLATION_NOT_ALLOWED, rejected=rejected)


def not_cancelled() -> GatewayError:
    """UNAVAILABLE: the gateway ends, and sent nothing to the vendor that had an effect. The call may be repeated."""
    return GatewayError(reasons.ERROR_REASON_VENDOR_UNAVAILABLE)


def outcome_unknown(*, out_of_time: bool) -> GatewayError:
    """CANCELLATION_OUTCOME_UNKNOWN: a POST may have had its effect, and no reading of the status settled it."""
    code = codes.DEADLINE_EXCEEDED if out_of_time else codes.UNKNOWN
    return GatewayError(reasons.ERROR_REASON_CANCELLATION_OUTCOME_UNKNOWN, code=code)


def unknown_error(reply: GatewayError) -> GatewayError:
    """VENDOR_ERROR: the vendor answered the POST with an unknown error code, and cancelled nothing."""
    return GatewayError(reasons.ERROR_REASON_VENDOR_ERROR, vendor_code=reply.vendor_code)
