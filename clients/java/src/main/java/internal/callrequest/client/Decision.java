package internal.callrequest.client;

import internal.callrequest.v1.ErrorReason;
import io.grpc.Status;
import java.util.Optional;

/** What to do about a call that failed. */
public enum Decision {
  /** The request is wrong, and fails again as it is. */
  FIX_REQUEST,

  /** Nothing was changed, and the same call may succeed later. */
  WAIT_AND_REPEAT,

  /** The result says what became of the call request: read it. */
  LOOK_AGAIN,

  /** No program can mend it. */
  TELL_A_PERSON;

  /** The decision for a reason; empty for one that this program does not know. */
  static Optional<Decision> about(ErrorReason reason) {
    return switch (reason) {
      case ERROR_REASON_INVALID_REQUEST,
          ERROR_REASON_VENDOR_REJECTED_REQUEST,
          ERROR_REASON_CALL_REQUEST_NOT_FOUND ->
          Optional.of(FIX_REQUEST);
      case ERROR_REASON_VENDOR_UNAVAILABLE,
          ERROR_REASON_VENDOR_TIMEOUT,
          ERROR_REASON_VENDOR_RATE_LIMITED,
          ERROR_REASON_OVERLOADED,
          ERROR_REASON_WATCH_ENDED,
          ERROR_REASON_CALLER_RATE_LIMITED,
          ERROR_REASON_DEADLINE_EXCEEDED,
          ERROR_REASON_VENDOR_FAILED,
          ERROR_REASON_VENDOR_MALFORMED_RESPONSE ->
          Optional.of(WAIT_AND_REPEAT);
      case ERROR_REASON_CANCELLATION_OUTCOME_UNKNOWN, ERROR_REASON_CANCELLATION_NOT_ALLOWED ->
          Optional.of(LOOK_AGAIN);
      case ERROR_REASON_VENDOR_REJECTED_CREDENTIALS,
          ERROR_REASON_VENDOR_ERROR,
          ERROR_REASON_CALLER_UNAUTHENTICATED,
          ERROR_REASON_CALLER_FORBIDDEN,
          ERROR_REASON_INTERNAL ->
          Optional.of(TELL_A_PERSON);
      // Not a list without default: stubs of a later version may come without a new compile.
      default -> Optional.empty();
    };
  }

  /** The decision where the code is all that is known. */
  static Decision about(Status.Code code) {
    return switch (code) {
      case INVALID_ARGUMENT, NOT_FOUND -> FIX_REQUEST;
      case UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED -> WAIT_AND_REPEAT;
      default -> TELL_A_PERSON;
    };
  }
}
