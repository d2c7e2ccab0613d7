package internal.callrequest.client;

import internal.callrequest.v1.CallOutcome;
import internal.callrequest.v1.CallRequestResult;
import internal.callrequest.v1.Cancellation;
import internal.callrequest.v1.CancellationRejected;
import internal.callrequest.v1.UnrecognizedValue;
import java.util.StringJoiner;

/**
 * Describes an answer for a person.
 *
 * <p>Each switch has a default. It is met by UNSPECIFIED and by UNRECOGNIZED, which is Java's for a
 * value that came with a later version of the contract.
 */
final class Answers {
  private Answers() {}

  /** May hold guests' data, as results do. */
  static String describe(CallRequestResult result) {
    var lines = new StringJoiner("\n");
    lines.add(
        switch (result.getStatus()) {
          case CALL_REQUEST_STATUS_PENDING_TO_CALL -> "The hotel is not phoned yet.";
          case CALL_REQUEST_STATUS_IN_PROGRESS -> "The hotel is being phoned.";
          case CALL_REQUEST_STATUS_COMPLETED -> "The hotel was phoned.";
          case CALL_REQUEST_STATUS_CANCELLED -> "Cancelled: the hotel is not phoned.";
          default -> "In a status that this program does not know.";
        });
    if (result.hasOutcome()) {
      lines.add(describe(result.getOutcome()));
    }
    for (UnrecognizedValue unrecognized : result.getUnrecognizedValuesList()) {
      lines.add("%s is new: %s".formatted(unrecognized.getField(), unrecognized.getValue()));
    }
    return lines.toString();
  }

  static String describe(Cancellation cancellation) {
    return switch (cancellation.getOutcome()) {
      case CANCELLATION_OUTCOME_CANCELLED -> "Cancelled.";
      case CANCELLATION_OUTCOME_ALREADY_CANCELLED -> "It had been cancelled before.";
      default -> "Cancelled, in a way that this program does not know.";
    };
  }

  static String describe(CancellationRejected rejected) {
    return switch (rejected.getReason()) {
      case CANCELLATION_REJECTION_REASON_CHECK_IN_PASSED -> "Too late: the check-in is past.";
      case CANCELLATION_REJECTION_REASON_CALL_IN_PROGRESS -> "Too late: the hotel is being phoned.";
      case CANCELLATION_REJECTION_REASON_CALL_COMPLETED -> "Too late: the hotel was phoned.";
      default -> "Too late, for a reason that this program does not know.";
    };
  }

  private static String describe(CallOutcome outcome) {
    String what =
        switch (outcome.getCallType()) {
          case CALL_TYPE_AUTHORIZATION_VERIFICATION -> "The booking and its payment authorization";
          case CALL_TYPE_BOOKING_VERIFICATION -> "The booking";
          default -> "Something that this program does not know";
        };
    return switch (outcome.getCallStatus()) {
      case CALL_STATUS_SUCCESS -> what + ": verified.";
      case CALL_STATUS_ERROR_OUTCOME -> what + ": not verified, " + why(outcome);
      case CALL_STATUS_UNABLE_TO_COMPLETE -> what + ": could not be verified, " + why(outcome);
      default -> what + ": the call ended in a way that this program does not know.";
    };
  }

  private static String why(CallOutcome outcome) {
    return switch (outcome.getStatusReasonCategory()) {
      case STATUS_REASON_CATEGORY_AUTH_FORM_NOT_FOUND -> "the hotel has no authorization form.";
      case STATUS_REASON_CATEGORY_DATA_MISMATCH -> "the hotel's data differ.";
      case STATUS_REASON_CATEGORY_RESERVATION_NOT_FOUND -> "the hotel has no such reservation.";
      case STATUS_REASON_CATEGORY_RESERVATION_CANCELLED -> "the reservation is cancelled.";
      case STATUS_REASON_CATEGORY_INCORRECT_TELEPHONE_NUMBER ->
          "the telephone number is not the hotel's.";
      case STATUS_REASON_CATEGORY_INVALID_TELEPHONE_NUMBER -> "the telephone number is not valid.";
      case STATUS_REASON_CATEGORY_NO_ANSWER -> "nobody answered the telephone.";
      default ->
          outcome.hasStatusReason() ? outcome.getStatusReason() : "the hotel did not say why.";
    };
  }
}
