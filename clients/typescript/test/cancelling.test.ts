import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import { CancellationOutcome, CancellationRejectionReason } from "@callrequest/v1";
import { status } from "@grpc/grpc-js";

import { describeCancellation, describeFailure } from "../src/answers.js";
import { cancel, readResult } from "../src/calls.js";
import { connect } from "../src/channel.js";
import { closing, scenario } from "./environment.js";
import { failing } from "./failing.js";
import { Sandbox } from "./sandbox.js";

// The first cancel and a repeated one are both OK, with different outcomes.
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

// The service config repeats no cancel: for one that ends UNAVAILABLE the gateway sends one, and asks twice for a token.
scenario("sends_a_cancel_once", ["CALL_REQUEST_GATEWAY", "CALL_REQUEST_SANDBOX"], async (env, t) => {
  const sandbox = new Sandbox(env.CALL_REQUEST_SANDBOX);
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY));
  const id = await sandbox.make({ call_in: 3600 });
  await readResult(gateway, id); // so that the gateway has a token
  await pause(5_500); // it does not give up a younger one
  await sandbox.refuseTokens();
  const before = await sandbox.asked();
  try {
    const failure = await failing(cancel(gateway, id));
    assert.equal(failure.code, status.UNAVAILABLE);
    assert.equal(failure.reason, "VENDOR_UNAVAILABLE");
    const after = await sandbox.asked();
    assert.equal(after.cancel - before.cancel, 1);
    assert.ok(after.token - before.token <= 2);
  } finally {
    await sandbox.clearFaults();
    while (
      await readResult(gateway, id).then(
        () => false,
        () => true,
      )
    )
      await pause(500); // until it has a token again
  }
});
