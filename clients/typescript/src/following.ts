/** Follows a result to its end: hours, restarts of the gateway and broken connections included. */

import { setMaxListeners } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";

import {
  type CallRequestResult,
  type CallRequestServiceClient,
  CallRequestStatus,
  type WatchCallRequestResultResponse,
} from "@callrequest/v1";
import { Metadata, type ServiceError } from "@grpc/grpc-js";

import { present } from "./calls.js";
import { CallFailed } from "./failures.js";

/**
 * How long a stream lasts at most: a gateway that is gone behind a proxy that still answers is noticed by then, and a
 * connection that is gone sooner, by the channel's pings.
 */
const ONE_STREAM_MS = 600_000;
/** Bounds of the pause before the next stream, doubled with each that ended soon and brought no change. */
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 10_000;

/**
 * Yields the result and each change of it; ends after a final one. Rejects with CallFailed when waiting does not help, as
 * when there is no such call request, and with the signal's reason when that is aborted, as by
 * AbortSignal.timeout(3_600_000). Leaving the loop ends it, too, but a loop runs only when there is a change.
 */
export async function* follow(
  gateway: CallRequestServiceClient,
  callRequestId: string,
  signal?: AbortSignal,
): AsyncGenerator<CallRequestResult, void, undefined> {
  if (signal) setMaxListeners(0, signal); // any number of followers may share it: Node would warn of a leak
  let last: CallRequestResult | undefined;
  for (let failures = 0; ; failures++) {
    signal?.throwIfAborted();
    const begun = performance.now();
    let changed = false;
    const options = { deadline: Date.now() + ONE_STREAM_MS };
    const watch = gateway.watchCallRequestResult({ callRequestId }, new Metadata(), options);
    const giveUp = () => {
      watch.cancel();
    };
    signal?.addEventListener("abort", giveUp);
    try {
      for await (const response of watch as AsyncIterable<WatchCallRequestResultResponse>) {
        const result = present(response.callRequestResult);
        // A new stream begins with the result as it is, and another gateway may know less.
        if (last !== undefined && (isSame(result, last) || isOlder(result, last))) continue;
        last = result;
        changed = true;
        yield result;
      }
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isServiceError(error)) throw error;
      const failure = new CallFailed(error, false);
      if (failure.decision !== "RETRY_LATER") throw failure;
      if (changed || performance.now() - begun > MAX_PAUSE_MS) failures = 0;
      const backoff = Math.random() * Math.min(FIRST_PAUSE_MS * 2 ** failures, MAX_PAUSE_MS);
      const wait = Math.max(failure.retryAfterMs ?? 0, backoff);
      await pause(wait, undefined, { signal }).catch(() => signal?.throwIfAborted());
    } finally {
      signal?.removeEventListener("abort", giveUp);
      watch.cancel();
    }
  }
}

/** Whether two results differ in nothing but when they were read. */
function isSame(one: CallRequestResult, other: CallRequestResult): boolean {
  return isDeepStrictEqual({ ...one, observedAt: undefined }, { ...other, observedAt: undefined });
}

/**
 * Whether one was read before the other, and the call request has come further since. The time alone does not tell: the
 * clocks of gateways differ.
 */
function isOlder(one: CallRequestResult, other: CallRequestResult): boolean {
  const { PENDING_TO_CALL, CANCELLED } = CallRequestStatus;
  const isBefore = PENDING_TO_CALL <= one.status && one.status < other.status && other.status <= CANCELLED;
  return (
    isBefore && one.observedAt !== undefined && other.observedAt !== undefined && one.observedAt < other.observedAt
  );
}

/** Whether it is of the call, and not of a program's mistake or an answer that is empty. */
function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "metadata" in error;
}
