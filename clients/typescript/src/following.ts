/** Follows a result to its end: hours, restarts of the gateway and broken connections included. */

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
 * waiting does not help, as when there is no such call request. Leave the loop to stop.
 */
export async function* follow(
  gateway: CallRequestServiceClient,
  callRequestId: string,
): AsyncGenerator<CallRequestResult, void, undefined> {
  for (let failures = 0; ; failures++) {
    const options = { deadline: Date.now() + ONE_STREAM_MS };
    const watch = gateway.watchCallRequestResult({ callRequestId }, new Metadata(), options);
    try {
      for await (const response of watch as AsyncIterable<WatchCallRequestResultResponse>) {
        failures = 0;
        yield present(response.callRequestResult);
      }
      return;
    } catch (error) {
      const failure = new CallFailed(error as ServiceError, false);
      if (failure.decision !== "RETRY_LATER") throw failure;
      const backoff = Math.random() * Math.min(FIRST_PAUSE_MS * 2 ** failures, MAX_PAUSE_MS);
      await pause(Math.max(failure.retryAfterMs ?? 0, backoff));
    } finally {
      watch.cancel();
    }
  }
}
