/** Decodes the status of a call that failed, and decides what to do about it. */

import { type BatchError, CancellationRejected, ErrorReason } from "@callrequest/v1";
import { BadRequest, type BadRequest_FieldViolation, ErrorInfo, RetryInfo, Status } from "@callrequest/v1/google/rpc";
import { type ServiceError, status } from "@grpc/grpc-js";
import { DECISIONS, type Decision } from "./decisions.js";

/** For failures without a reason, which are the channel's or a proxy's, and for reasons of a later version. */
const DECISIONS_BY_CODE: Readonly<Partial<Record<status, Decision>>> = {
  [status.UNAVAILABLE]: "RETRY_LATER",
  [status.RESOURCE_EXHAUSTED]: "RETRY_LATER",
  [status.DEADLINE_EXCEEDED]: "RETRY_LATER",
  [status.INVALID_ARGUMENT]: "FIX_REQUEST",
  [status.NOT_FOUND]: "FIX_REQUEST",
};

/** What the gateway asks for at most: a longer wait is another's, or a mistake. */
export const MAX_RETRY_AFTER_MS = 300_000;

/** A call that failed, the details of its status, and what to do. */
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
    const details = packed instanceof Buffer ? (readable(() => Status.decode(packed))?.details ?? []) : [];
    const info = unpack(details, ErrorInfo);
    const delay = unpack(details, RetryInfo)?.retryDelay;
    this.code = error.code;
    this.reason = info?.domain === "callrequest.v1" ? info.reason : undefined;
    this.retryAfterMs =
      delay && Math.min(Math.max(delay.seconds * 1000 + delay.nanos / 1_000_000, 0), MAX_RETRY_AFTER_MS);
    this.violations = unpack(details, BadRequest)?.fieldViolations ?? [];
    this.rejected = unpack(details, CancellationRejected);
    this.decision = decide(this.code, this.reason, cancelling);
  }
}

/** The failure of one item of a batch. */
export class FailedItem {
  readonly code: status;
  readonly decision: Decision;
  /** The name of an ErrorReason. Unset when it is of a later version. */
  readonly reason: string | undefined;
  readonly message: string;

  constructor({ code, reason, message }: BatchError) {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- google.rpc.Code has gRPC's numbers
    this.code = code;
    this.reason = ErrorReason[reason]; // undefined for a number that these stubs have no name for
    this.message = message;
    this.decision = decide(this.code, this.reason, false);
  }
}

function decide(code: status, reason: string | undefined, cancelling: boolean): Decision {
  if (cancelling && mayHaveBeenSent(code, reason)) {
    return "READ_RESULT";
  }
  const known = reason !== undefined && Object.hasOwn(DECISIONS, reason) ? DECISIONS[reason] : undefined;
  if (known !== undefined) {
    return known;
  }
  if (code === status.CANCELLED && reason === undefined) {
    // A server that stops may answer so to a call in the act of arriving (grpc#41785); calls.ts gives none up itself.
    return "RETRY_LATER";
  }
  return DECISIONS_BY_CODE[code] ?? "ALERT_OPERATORS";
}

/** Whether a cancel that failed like this may have taken effect. */
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
  return any && readable(() => type.decode(any.value));
}

/** What cannot be read is as good as nothing. */
function readable<Message>(decode: () => Message): Message | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
