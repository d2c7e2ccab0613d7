/** Puts answers and failures into words: every branch that a caller has to think of. */

import {
  Action,
  type CallOutcome,
  type CallRequestResult,
  CallRequestStatus,
  CallStatus,
  type Cancellation,
  CancellationOutcome,
  CancellationRejectionReason,
  statusReasonCategoryToJSON,
} from "@callrequest/v1";
import { status } from "@grpc/grpc-js";

import type { CallFailed } from "./failures.js";

// Each switch has a default: a later gateway may send a number that these stubs have no name for. It arrives as that
// number, not as UNRECOGNIZED, which only JSON has.

export function describeResult(result: CallRequestResult): string {
  const unrecognized = result.unrecognizedValues.map(({ field, value }) => `not understood: ${field} "${value}"`);
  return [describeStatus(result), ...unrecognized].join("\n");
}

function describeStatus({ status, outcome }: CallRequestResult): string {
  switch (status) {
    case CallRequestStatus.PENDING_TO_CALL:
      return "the hotel is not phoned yet, it can be cancelled";
    case CallRequestStatus.IN_PROGRESS:
      return "the hotel is being phoned";
    case CallRequestStatus.COMPLETED:
      return outcome ? describeOutcome(outcome) : "the call is done, without an outcome";
    case CallRequestStatus.CANCELLED:
      return "it is cancelled";
    default:
      return "it has a status that this program does not know";
  }
}

function describeOutcome({ callStatus, statusReasonCategory, statusReason, actionRequired }: CallOutcome): string {
  switch (callStatus) {
    case CallStatus.SUCCESS:
      return "verified";
    case CallStatus.ERROR_OUTCOME: {
      const why = statusReason ?? statusReasonCategoryToJSON(statusReasonCategory);
      return `not verified: ${why}${describeAction(actionRequired?.action)}`;
    }
    case CallStatus.UNABLE_TO_COMPLETE:
      return `could not be verified: ${statusReason ?? "no reason given"}`;
    default:
      return "the call is done, with an outcome that this program does not know";
  }
}

function describeAction(action: Action | undefined): string {
  switch (action) {
    case Action.RESEND_RESERVATION:
      return "; send the reservation again";
    case Action.RESEND_PAYMENT:
      return "; send the payment again";
    default:
      return "";
  }
}

export function describeCancellation({ outcome }: Cancellation): string {
  switch (outcome) {
    case CancellationOutcome.CANCELLED:
      return "cancelled";
    case CancellationOutcome.ALREADY_CANCELLED:
      return "it was cancelled before";
    default:
      return "cancelled, in a way that this program does not know";
  }
}

export function describeFailure(failure: CallFailed): string {
  const { code, reason = "no reason", message, violations, rejected, retryAfterMs } = failure;
  return [
    `${failure.decision} (${status[code]}, ${reason}): ${message}`,
    ...violations.map(({ field, description }) => `wrong: ${field}: ${description}`),
    ...(rejected ? [describeRejection(rejected.reason)] : []),
    ...(retryAfterMs === undefined ? [] : [`repeat after ${retryAfterMs.toString()} ms`]),
  ].join("\n");
}

function describeRejection(reason: CancellationRejectionReason): string {
  switch (reason) {
    case CancellationRejectionReason.CHECK_IN_PASSED:
      return "too late: the guest's check-in is past";
    case CancellationRejectionReason.CALL_IN_PROGRESS:
      return "too late: the hotel is being phoned";
    case CancellationRejectionReason.CALL_COMPLETED:
      return "too late: the hotel was phoned";
    default:
      return "it cannot be cancelled, for a reason that this program does not know";
  }
}
