package internal.callrequest.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.BadRequest.FieldViolation;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import internal.callrequest.v1.CancellationRejected;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** A call that failed: what to do about it, and the details of its status. */
public final class CallFailedException extends Exception {
  private static final long serialVersionUID = 1;

  /** What the gateway asks for at most: a longer wait is another's, or a mistake. */
  static final Duration MAX_RETRY_AFTER = Duration.ofMinutes(5);

  /** Without a reason: it broke off or stopped, the time was over, or the caller gave up. */
  private static final Set<Status.Code> UNANSWERED =
      EnumSet.of(Status.Code.UNAVAILABLE, Status.Code.DEADLINE_EXCEEDED, Status.Code.CANCELLED);

  private final com.google.rpc.Status status;
  private final Decision decision;

  private CallFailedException(StatusRuntimeException cause, boolean cancelling) {
    super(cause);
    status = decode(cause);
    decision = decide(cancelling);
  }

  static CallFailedException reading(StatusRuntimeException cause) {
    return new CallFailedException(cause, false);
  }

  static CallFailedException cancelling(StatusRuntimeException cause) {
    return new CallFailedException(cause, true);
  }

  public Decision decision() {
    return decision;
  }

  public Status.Code code() {
    return Status.fromCodeValue(status.getCode()).getCode();
  }

  /** The name of an ErrorReason without its prefix; empty when it was not the gateway. */
  public Optional<String> reason() {
    return detail(ErrorInfo.class)
        .filter(info -> info.getDomain().equals("callrequest.v1"))
        .map(ErrorInfo::getReason);
  }

  /** How long to wait before the call is repeated: never longer than {@link #MAX_RETRY_AFTER}. */
  public Optional<Duration> retryAfter() {
    return detail(RetryInfo.class)
        .map(RetryInfo::getRetryDelay)
        .map(delay -> Duration.ofSeconds(delay.getSeconds(), delay.getNanos()))
        .map(delay -> delay.isNegative() ? Duration.ZERO : delay)
        .map(delay -> delay.compareTo(MAX_RETRY_AFTER) > 0 ? MAX_RETRY_AFTER : delay);
  }

  /** The fields of the request that are wrong, and how. */
  public List<FieldViolation> violations() {
    return detail(BadRequest.class).map(BadRequest::getFieldViolationsList).orElse(List.of());
  }

  /** Why the call request cannot be cancelled any more. */
  public Optional<CancellationRejected> rejection() {
    return detail(CancellationRejected.class);
  }

  @Override
  public String getMessage() {
    return "%s %s: %s".formatted(code(), reason().orElse("without a reason"), status.getMessage());
  }

  /** Details that cannot be read, or are of another status, are as good as none. */
  private static com.google.rpc.Status decode(StatusRuntimeException cause) {
    try {
      return StatusProto.fromStatusAndTrailers(cause.getStatus(), cause.getTrailers());
    } catch (IllegalArgumentException e) {
      return StatusProto.fromStatusAndTrailers(cause.getStatus(), null);
    }
  }

  private Decision decide(boolean cancelling) {
    if (cancelling && mayHaveBeenSent()) {
      return Decision.READ_RESULT;
    }
    if (code() == Status.Code.CANCELLED && reason().isEmpty() && !givenUp()) {
      // A server that stops may answer so to a call in the act of arriving (grpc#41785).
      return Decision.RETRY_LATER;
    }
    return reason().flatMap(Decision::about).orElse(Decision.about(code()));
  }

  /** Whether a cancel that failed so may have cancelled: INTERNAL is a defect, at any time. */
  private boolean mayHaveBeenSent() {
    return reason().map("INTERNAL"::equals).orElseGet(() -> UNANSWERED.contains(code()));
  }

  /** Whether the program itself ended the call. */
  private static boolean givenUp() {
    return Context.current().isCancelled() || Thread.currentThread().isInterrupted();
  }

  private <T extends Message> Optional<T> detail(Class<T> type) {
    for (Any detail : status.getDetailsList()) {
      if (detail.is(type)) {
        try {
          return Optional.of(detail.unpack(type));
        } catch (InvalidProtocolBufferException e) {
          return Optional.empty(); // nothing that can be read is as good as nothing
        }
      }
    }
    return Optional.empty();
  }
}
