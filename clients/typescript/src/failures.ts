/** Reads what the gateway says of a call that failed, and decides what to do about it. */

import { CancellationRejected, ErrorReason } from "@callrequest/v1";
import { BadRequest, type BadRequest_FieldViolation, ErrorInfo, RetryInfo, Status } from "@callrequest/v1/google/rpc";
import { type ServiceError, status } from "@grpc/grpc-js";

/** What to do about a call that failed. */
export type Decision = "FIX_REQUEST" | "WAIT_AND_REPEAT" | "LOOK_AGAIN" | "TELL_A_PERSON";

type KnownReason = Exclude<keyof typeof ErrorReason, "UNSPECIFIED" | "UNRECOGNIZED">;

/** The one decision for each ErrorReason. It does not compile when one is missing. */
export const DECISIONS: Readonly<Record<KnownReason, Decision>> = {
  INVALID_REQUEST: "FIX_REQUEST",
  VENDOR_REJECTED_REQUEST: "FIX_REQUEST",
  CALL_REQUEST_NOT_FOUND: "FIX_REQUEST",
  VENDOR_UNAVAILABLE: "WAIT_AND_REPEAT",
  VENDOR_TIMEOUT: "WAIT_AND_REPEAT",
  VENDOR_RATE_LIMITED: "WAIT_AND_REPEAT",
  OVERLOADED: "WAIT_AND_REPEAT",
  WATCH_ENDED: "WAIT_AND_REPEAT",
  CALLER_RATE_LIMITED: "WAIT_AND_REPEAT",
  DEADLINE_EXCEEDED: "WAIT_AND_REPEAT",
  VENDOR_FAILED: "WAIT_AND_REPEAT",
  VENDOR_MALFORMED_RESPONSE: "WAIT_AND_REPEAT",
  CANCELLATION_OUTCOME_UNKNOWN: "LOOK_AGAIN", // read the result, or cancel again
  CANCELLATION_NOT_ALLOWED: "LOOK_AGAIN", // too late: read the result
  VENDOR_REJECTED_CREDENTIALS: "TELL_A_PERSON",
  VENDOR_ERROR: "TELL_A_PERSON",
  CALLER_UNAUTHENTICATED: "TELL_A_PERSON",
  CALLER_FORBIDDEN: "TELL_A_PERSON",
  INTERNAL: "TELL_A_PERSON",
};

/** For failures without a reason, which are the channel's or a proxy's, and for reasons of a later version. */
const DECISIONS_BY_CODE: Readonly<Partial<Record<status, Decision>>> = {
  [status.UNAVAILABLE]: "WAIT_AND_REPEAT",
  [status.RESOURCE_EXHAUSTED]: "WAIT_AND_REPEAT",
  [status.DEADLINE_EXCEEDED]: "WAIT_AND_REPEAT",
  [status.INVALID_ARGUMENT]: "FIX_REQUEST",
  [status.NOT_FOUND]: "FIX_REQUEST",
};

/** A call that failed, what the gateway said of it, and what to do. */
export class CallFailed extends Error {
  override readonly name = "CallFailed";
  readonly code: status;
  readonly decision: Decision;
  /** The name of an ErrorReason, or one of a later version. Unset when the gateway did not answer. */
  readonly reason: string | undefined;
  /** How long to wait before calling again. */
  readonly retryAfterMs: number | undefined;
  /** Which fields of the request are wrong, and how. */
  readonly violations: readonly BadRequest_FieldViolation[];
  /** Why the call request cannot be cancelled any more. */
  readonly rejected: CancellationRejected | undefined;

  constructor(error: ServiceError, cancelling: boolean) {
    super(error.details, { cause: error });
    const [packed] = error.metadata.get("grpc-status-details-bin");
    const details = packed instanceof Buffer ? Status.decode(packed).details : [];
    const info = unpack(details, ErrorInfo);
    const delay = unpack(details, RetryInfo)?.retryDelay;
    this.code = error.code;
    this.reason = info?.domain === "callrequest.v1" ? info.reason : undefined;
    this.retryAfterMs = delay && delay.seconds * 1000 + delay.nanos / 1_000_000;
    this.violations = unpack(details, BadRequest)?.fieldViolations ?? [];
    this.rejected = unpack(details, CancellationRejected);
    this.decision = decide(this.code, this.reason, cancelling);
  }
}

function decide(code: status, reason: string | undefined, cancelling: boolean): Decision {
  if (cancelling && mayHaveBeenSent(code, reason)) {
    return "LOOK_AGAIN";
  }
  if (reason !== undefined && Object.hasOwn(DECISIONS, reason)) {
    return DECISIONS[reason as KnownReason];
  }
  if (code === status.CANCELLED && reason === undefined) {
    // A server that stops may answer so to a call in the act of arriving (grpc#41785); calls.ts gives none up itself.
    return "WAIT_AND_REPEAT";
  }
  return DECISIONS_BY_CODE[code] ?? "TELL_A_PERSON";
}

/** Whether a cancel that failed so may have cancelled, where its reason's decision is for reads. */
function mayHaveBeenSent(code: status, reason: string | undefined): boolean {
  if (reason !== undefined) {
    return reason === "INTERNAL"; // a defect, before the cancel was sent or after
  }
  // Nothing from the gateway: it broke off or stopped, the time was over, or the caller gave the call up.
  return code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED || code === status.CANCELLED;
}

/** The first detail of a type, read from its google.protobuf.Any. */
function unpack<Message>(
  details: Status["details"],
  type: { $type: string; decode: (bytes: Uint8Array) => Message },
): Message | undefined {
  const any = details.find(({ typeUrl }) => typeUrl.endsWith(`/${type.$type}`));
  return any && type.decode(any.value);
}
