import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { CallRequestStatus, CallStatus, CallType } from "@callrequest/v1";
import { status } from "@grpc/grpc-js";

import { describeResult } from "../src/answers.js";
import { readResult } from "../src/calls.js";
import { connect } from "../src/channel.js";
import { closing, scenario } from "./environment.js";
import { failing } from "./failing.js";
import { Sandbox } from "./sandbox.js";

const MAIN = fileURLToPath(new URL("../src/main.js", import.meta.url));

// A result is typed: status, outcome, times. The program prints it.
scenario("reads_a_typed_outcome", ["CALL_REQUEST_GATEWAY", "CALL_REQUEST_SANDBOX"], async (env, t) => {
  await new Sandbox(env.CALL_REQUEST_SANDBOX).reset();
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY));

  const completed = await readResult(gateway, "77b2c4d5e6f7g890");
  assert.equal(completed.status, CallRequestStatus.COMPLETED);
  assert.equal(completed.outcome?.callType, CallType.AUTHORIZATION_VERIFICATION);
  assert.equal(completed.outcome.callStatus, CallStatus.SUCCESS);
  assert.ok(completed.observedAt instanceof Date);

  const pending = await readResult(gateway, "statusPending001");
  assert.equal(pending.status, CallRequestStatus.PENDING_TO_CALL);
  assert.equal(pending.outcome, undefined);

  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, "result", "77b2c4d5e6f7g890"], {
    env: { CALL_REQUEST_GATEWAY: env.CALL_REQUEST_GATEWAY },
  });
  assert.match(stdout, /^verified/);
});

// A word that no enum value stands for leaves its field UNSPECIFIED, and is there as text.
scenario("shows_unrecognized_values", ["CALL_REQUEST_GATEWAY"], async (env, t) => {
  const result = await readResult(closing(t, connect(env.CALL_REQUEST_GATEWAY)), "q14NewStatus0001");
  assert.equal(result.status, CallRequestStatus.UNSPECIFIED);
  assert.equal(
    describeResult(result),
    'it has a status that this program does not know\nnot understood: status "ON_HOLD"',
  );
});

// A call ends when its time is over, however long the vendor takes.
scenario("keeps_its_deadline", ["CALL_REQUEST_GATEWAY", "CALL_REQUEST_SANDBOX"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY));
  await readResult(gateway, "77b2c4d5e6f7g890"); // so that connecting is not measured
  const id = await new Sandbox(env.CALL_REQUEST_SANDBOX).make({ fault: "hang" });

  const begun = performance.now();
  const failure = await failing(readResult(gateway, id, 700));
  const took = performance.now() - begun;
  assert.ok(600 < took && took < 1500, `it took ${took.toFixed()} ms`);
  assert.equal(failure.code, status.DEADLINE_EXCEEDED);
  assert.equal(failure.decision, "RETRY_LATER");
});
