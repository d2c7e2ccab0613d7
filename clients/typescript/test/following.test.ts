import assert from "node:assert/strict";

import { type CallRequestServiceClient, CallRequestStatus } from "@callrequest/v1";

import { readMany, readResult } from "../src/calls.js";
import { connect } from "../src/channel.js";
import { FailedItem, MAX_RETRY_AFTER_MS } from "../src/failures.js";
import { follow } from "../src/following.js";
import { closing, scenario } from "./environment.js";
import { failing } from "./failing.js";
import { Sandbox } from "./sandbox.js";

const { PENDING_TO_CALL, IN_PROGRESS, COMPLETED } = CallRequestStatus;

async function followed(gateway: CallRequestServiceClient, id: string): Promise<CallRequestStatus[]> {
  const statuses: CallRequestStatus[] = [];
  for await (const { status } of follow(gateway, id)) statuses.push(status);
  return statuses;
}

// Each status in turn; what waiting does not mend ends it at once, and so does whoever leaves the loop.
scenario("follows_to_the_end", ["CALL_REQUEST_GATEWAY", "CALL_REQUEST_SANDBOX"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY));
  const id = await new Sandbox(env.CALL_REQUEST_SANDBOX).make({ call_in: 1.5, call_takes: 1.5 });
  assert.deepEqual(await followed(gateway, id), [PENDING_TO_CALL, IN_PROGRESS, COMPLETED]);
  assert.equal((await failing(followed(gateway, "unknownToVendor1"))).reason, "CALL_REQUEST_NOT_FOUND");
  for await (const { status } of follow(gateway, "statusPending001")) {
    assert.equal(status, PENDING_TO_CALL);
    break;
  }
});

// A signal ends it while nothing changes: between two messages, between two streams, and before the first.
scenario("gives_up_by_its_signal", ["CALL_REQUEST_GATEWAY"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY));
  const until = async (client: CallRequestServiceClient, signal: AbortSignal) => {
    const statuses: CallRequestStatus[] = [];
    await assert.rejects(
      async () => {
        for await (const { status } of follow(client, "statusPending001", signal)) statuses.push(status);
      },
      (error) => error === signal.reason,
    );
    return statuses;
  };
  assert.deepEqual(await until(gateway, AbortSignal.timeout(500)), [PENDING_TO_CALL]);
  assert.deepEqual(await until(gateway, AbortSignal.abort()), []);
  const nobody = closing(t, connect("127.0.0.1:1"));
  assert.deepEqual(await until(nobody, AbortSignal.timeout(500)), []);
});

// Each client has a connection, and so places for watches, of its own: 96 with the gateway's settings as they are.
scenario("follows_more_than_one_connection_carries", ["CALL_REQUEST_GATEWAY"], async (env, t) => {
  const clients = [0, 1].map(() => closing(t, connect(env.CALL_REQUEST_GATEWAY)));
  const leaving = new AbortController();
  const firstResult = (client: CallRequestServiceClient) =>
    new Promise<void>((resolve, reject) => {
      const following = async () => {
        for await (const { status } of follow(client, "statusPending001", leaving.signal)) {
          assert.equal(status, PENDING_TO_CALL);
          resolve();
        }
      };
      following().catch(reject);
    });
  await Promise.all(clients.flatMap((client) => Array.from({ length: 90 }, () => firstResult(client))));
  leaving.abort();
});

// A gateway that ends the stream is watched again, after the time that it asks for; each result comes once.
scenario("follows_through_reconnects", ["CALL_REQUEST_GATEWAY_RESTLESS", "CALL_REQUEST_SANDBOX"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY_RESTLESS));
  const id = await new Sandbox(env.CALL_REQUEST_SANDBOX).make({ call_in: 4, call_takes: 0.1 });
  const statuses = await followed(gateway, id);
  assert.deepEqual([statuses[0], statuses.at(-1)], [PENDING_TO_CALL, COMPLETED]);
  assert.equal(new Set(statuses).size, statuses.length, statuses.toString());
});

// A connection that is gone without a word is noticed, and the result is followed on another.
scenario("follows_through_silence", ["CALL_REQUEST_GATEWAY_SILENT", "CALL_REQUEST_SANDBOX"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY_SILENT));
  const id = await new Sandbox(env.CALL_REQUEST_SANDBOX).make({ call_in: 4, call_takes: 0.1 });
  const begun = Date.now();
  assert.deepEqual(await followed(gateway, id), [PENDING_TO_CALL, COMPLETED]);
  assert.ok(Date.now() - begun < 90_000);
});

// What breaks the contract neither stops a follower nor leads it back, nor has it call without a pause.
scenario("follows_a_flawed_gateway", ["CALL_REQUEST_GATEWAY_FLAWED"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY_FLAWED));
  assert.deepEqual(await followed(gateway, "badDetails000001"), [PENDING_TO_CALL, COMPLETED]);
  assert.deepEqual(await followed(gateway, "olderResult00001"), [IN_PROGRESS, COMPLETED]);
  assert.deepEqual(await followed(gateway, "endsAndEnds00001"), [PENDING_TO_CALL, COMPLETED]);
  assert.equal((await failing(readResult(gateway, "waitTooLong00001"))).retryAfterMs, MAX_RETRY_AFTER_MS);
});

// Each id has a result or a failure with its decision, in order.
scenario("reads_many_at_once", ["CALL_REQUEST_GATEWAY"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY));
  const [pending, ...failed] = await readMany(gateway, ["statusPending001", "not an id", "unknownToVendor1"]);
  assert.ok(pending && !(pending instanceof FailedItem));
  assert.equal(pending.status, PENDING_TO_CALL);
  assert.deepEqual(
    failed.map((item) => item instanceof FailedItem && [item.reason, item.decision]),
    [
      ["INVALID_REQUEST", "FIX_REQUEST"],
      ["CALL_REQUEST_NOT_FOUND", "FIX_REQUEST"],
    ],
  );
  assert.equal((await failing(readMany(gateway, []))).reason, "INVALID_REQUEST");
});
