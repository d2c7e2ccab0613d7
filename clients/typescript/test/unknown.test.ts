import assert from "node:assert/strict";

import { CallRequestResult } from "@callrequest/v1";
import { status } from "@grpc/grpc-js";

import { describeResult } from "../src/answers.js";
import { readResult } from "../src/calls.js";
import { connect } from "../src/channel.js";
import { closing, scenario } from "./environment.js";
import { failing } from "./failing.js";

// A gateway of a later version: an enum's number without a name, a field without one, and a reason without a decision.
scenario("meets_the_unknown", ["CALL_REQUEST_GATEWAY_NEXT"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY_NEXT));

  const result = await readResult(gateway, "nextVersion00001");
  assert.equal(result.status, 99);
  assert.equal(result.outcome?.callType, 99);
  assert.equal(describeResult(result), "it has a status that this program does not know");

  const again = Buffer.from(CallRequestResult.encode(result).finish());
  assert.ok(again.includes("tomorrow"), "the unknown field is lost");
  assert.deepEqual(CallRequestResult.decode(again), result);

  const failure = await failing(readResult(gateway, "nextVersion00002"));
  assert.equal(failure.code, status.UNAVAILABLE);
  assert.equal(failure.reason, "VENDOR_ON_THE_MOON");
  assert.equal(failure.decision, "RETRY_LATER");
});
