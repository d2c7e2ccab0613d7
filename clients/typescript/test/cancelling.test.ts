import assert from "node:assert/strict";

import { CallRequestServiceClient, CancellationOutcome, CancellationRejectionReason } from "@callrequest/v1";
import { credentials, status } from "@grpc/grpc-js";

import { describeCancellation, describeFailure } from "../src/answers.js";
import { cancel, readResult } from "../src/calls.js";
import { connect } from "../src/channel.js";
import { closing, scenario } from "./environment.js";
import { failing } from "./failing.js";
import { Sandbox } from "./sandbox.js";

// The first cancel and a repeated one are both OK, and can be told apart.
scenario("cancels_once_and_again", ["CALL_REQUEST_GATEWAY", "CALL_REQUEST_SANDBOX"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY));
  const id = await new Sandbox(env.CALL_REQUEST_SANDBOX).make({ call_in: 3600 });

  const first = await cancel(gateway, id);
  assert.equal(first.outcome, CancellationOutcome.CANCELLED);
  assert.equal(describeCancellation(first), "cancelled");

  const again = await cancel(gateway, id);
  assert.equal(again.outcome, CancellationOutcome.ALREADY_CANCELLED);
  assert.equal(describeCancellation(again), "it was cancelled before");
});

// Why it is too late is a status detail.
scenario("tells_rejections_apart", ["CALL_REQUEST_GATEWAY"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY));
  for (const [id, reason, words] of [
    ["cancelCheckedIn1", CancellationRejectionReason.CHECK_IN_PASSED, "the guest's check-in is past"],
    ["cancelInProgress", CancellationRejectionReason.CALL_IN_PROGRESS, "the hotel is being phoned"],
    ["cancelCompleted1", CancellationRejectionReason.CALL_COMPLETED, "the hotel was phoned"],
  ] as const) {
    const failure = await failing(cancel(gateway, id));
    assert.equal(failure.reason, "CANCELLATION_NOT_ALLOWED");
    assert.equal(failure.rejected?.reason, reason);
    assert.equal(failure.decision, "READ_RESULT");
    assert.ok(describeFailure(failure).endsWith(`too late: ${words}`));
  }
});

// The service config repeats no cancel: one that ends UNAVAILABLE costs the vendor as much as on a channel without.
scenario("sends_a_cancel_once", ["CALL_REQUEST_GATEWAY", "CALL_REQUEST_SANDBOX"], async (env, t) => {
  const sandbox = new Sandbox(env.CALL_REQUEST_SANDBOX);
  const id = await sandbox.make({ call_in: 3600 });

  async function costs(gateway: CallRequestServiceClient): Promise<{ cancel: number; token: number }> {
    await readResult(gateway, id); // so that the gateway has a token
    await sandbox.refuseTokens();
    const before = await sandbox.asked();
    try {
      const failure = await failing(cancel(gateway, id));
      assert.equal(failure.code, status.UNAVAILABLE);
      assert.equal(failure.reason, "VENDOR_UNAVAILABLE");
    } finally {
      await sandbox.clearFaults();
    }
    const after = await sandbox.asked();
    return { cancel: after.cancel - before.cancel, token: after.token - before.token };
  }

  const bare = new CallRequestServiceClient(env.CALL_REQUEST_GATEWAY, credentials.createInsecure());
  const once = await costs(closing(t, bare));
  assert.equal(once.cancel, 1);
  assert.deepEqual(await costs(closing(t, connect(env.CALL_REQUEST_GATEWAY))), once);
});
