/** Follows a result to its end: hours, restarts of the gateway and broken connections included. */

import { setMaxListeners } from "node:events";
import { setTimeout as pause } from "node:timers/promises";

import type { CallRequestResult, CallRequestServiceClient, WatchCallRequestResultResponse } from "@callrequest/v1";
import { Metadata, type ServiceError } from "@grpc/grpc-js";

import { present } from "./calls.js";
import { CallFailed } from "./failures.js";

/** How long a stream lasts at most: a connection that is gone without a word is noticed by then. */
const ONE_STREAM_MS = 600_000;
/** Bounds of the pause before the next stream, doubled with each one that brought nothing. */
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 10_000;

/**
 * Yields the result, each change, and after a gap the result again; ends after a final one. Rejects with CallFailed when
 * waiting does not help, as when there is no such call request, and with the signal's reason when that is aborted, as by
 * AbortSignal.timeout(3_600_000). Leaving the loop ends it, too, but a loop runs only when there is a change.
 */
export async function* follow(
  gateway: CallRequestServiceClient,
  callRequestId: string,
  signal?: AbortSignal,
): AsyncGenerator<CallRequestResult, void, undefined> {
  if (signal) setMaxListeners(0, signal); // any number of followers may share it: Node would warn of a leak
  for (let failures = 0; ; failures++) {
    signal?.throwIfAborted();
    const options = { deadline: Date.now() + ONE_STREAM_MS };
    const watch = gateway.watchCallRequestResult({ callRequestId }, new Metadata(), options);
    const giveUp = () => {
      watch.cancel();
    };
    signal?.addEventListener("abort", giveUp);
    try {
      for await (const response of watch as AsyncIterable<WatchCallRequestResultResponse>) {
        failures = 0;
        yield present(response.callRequestResult);
      }
      return;
    } catch (error) {
      signal?.throwIfAborted();
      const failure = new CallFailed(error as ServiceError, false);
      if (failure.decision !== "RETRY_LATER") throw failure;
      const backoff = Math.random() * Math.min(FIRST_PAUSE_MS * 2 ** failures, MAX_PAUSE_MS);
      const wait = Math.max(failure.retryAfterMs ?? 0, backoff);
      await pause(wait, undefined, { signal }).catch(() => signal?.throwIfAborted());
    } finally {
      signal?.removeEventListener("abort", giveUp);
      watch.cancel();
    }
  }
}
