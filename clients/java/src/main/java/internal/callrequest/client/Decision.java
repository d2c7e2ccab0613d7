package internal.callrequest.client;

import internal.callrequest.v1.BatchError;
import io.grpc.Status;
import java.util.Optional;

/** What to do about a call that failed. */
public enum Decision {
  /** The request is wrong, and fails again as it is. */
  FIX_REQUEST,

  /** Nothing was changed, and the same call may succeed later. */
  RETRY_LATER,

  /** The result shows what became of the call request: read it. */
  READ_RESULT,

  /** No program can correct it. */
  ALERT_OPERATORS;

  /** The decision for the name of an ErrorReason; empty for one that this program does not know. */
  static Optional<Decision> about(String reason) {
    return Optional.ofNullable(Decisions.BY_REASON.get(reason));
  }

  /** The decision for the error of one item of a batch. */
  public static Decision about(BatchError error) {
    String reason = error.getReason().name().replaceFirst("^ERROR_REASON_", "");
    return about(reason).orElseGet(() -> about(Status.fromCodeValue(error.getCode()).getCode()));
  }

  /** The decision where the code is all that is known. */
  static Decision about(Status.Code code) {
    return switch (code) {
      case INVALID_ARGUMENT, NOT_FOUND -> FIX_REQUEST;
      case UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED -> RETRY_LATER;
      default -> ALERT_OPERATORS;
    };
  }
}
