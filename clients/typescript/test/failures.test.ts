import assert from "node:assert/strict";

import { ErrorReason } from "@callrequest/v1";
import { ErrorInfo, Status } from "@callrequest/v1/google/rpc";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";

import { readResult } from "../src/calls.js";
import { connect } from "../src/channel.js";
import { DECISIONS, type Decision } from "../src/decisions.js";
import { CallFailed } from "../src/failures.js";
import { closing, scenario } from "./environment.js";
import { failing } from "./failing.js";
import { Sandbox } from "./sandbox.js";

// The details have the wrong field, the time to wait and the reason, for programs.
scenario("decodes_error_details", ["CALL_REQUEST_GATEWAY", "CALL_REQUEST_SANDBOX"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY));

  const wrong = await failing(readResult(gateway, "../etc/passwd"));
  assert.equal(wrong.code, status.INVALID_ARGUMENT);
  assert.equal(wrong.reason, "INVALID_REQUEST");
  assert.deepEqual(
    wrong.violations.map(({ field }) => field),
    ["call_request_id"],
  );
  assert.equal(wrong.retryAfterMs, undefined);

  const id = await new Sandbox(env.CALL_REQUEST_SANDBOX).make({ fault: "too_many_requests", seconds: 7 });
  const limited = await failing(readResult(gateway, id));
  assert.equal(limited.code, status.RESOURCE_EXHAUSTED);
  assert.equal(limited.reason, "VENDOR_RATE_LIMITED");
  assert.equal(limited.retryAfterMs, 7_000);
  assert.deepEqual(limited.violations, []);
});

// Each ErrorReason has its decision. Without one that is known the code decides, and a cancel may have arrived.
scenario("decides_for_every_reason", [], () => {
  for (const reason of Object.values(ErrorReason).filter((name) => typeof name === "string")) {
    if (reason === "UNSPECIFIED" || reason === "UNRECOGNIZED") continue; // never sent
    assert.ok(Object.hasOwn(DECISIONS, reason), `no decision for ${reason}`);
    assert.equal(decision(status.UNKNOWN, reason), DECISIONS[reason]);
  }

  for (const reason of [undefined, "VENDOR_ON_THE_MOON", "constructor"]) {
    assert.equal(decision(status.UNAVAILABLE, reason), "RETRY_LATER");
    assert.equal(decision(status.RESOURCE_EXHAUSTED, reason), "RETRY_LATER");
    assert.equal(decision(status.DEADLINE_EXCEEDED, reason), "RETRY_LATER");
    assert.equal(decision(status.INVALID_ARGUMENT, reason), "FIX_REQUEST");
    assert.equal(decision(status.NOT_FOUND, reason), "FIX_REQUEST");
    assert.equal(decision(status.FAILED_PRECONDITION, reason), "ALERT_OPERATORS");
  }
  assert.equal(decision(status.UNAVAILABLE, "INTERNAL", { domain: "proxy.example" }), "RETRY_LATER");

  const cancelling = true;
  assert.equal(decision(status.UNAVAILABLE, undefined, { cancelling }), "READ_RESULT");
  assert.equal(decision(status.DEADLINE_EXCEEDED, undefined, { cancelling }), "READ_RESULT");
  assert.equal(decision(status.CANCELLED, undefined, { cancelling }), "READ_RESULT");
  assert.equal(decision(status.CANCELLED, undefined), "RETRY_LATER");
  assert.equal(decision(status.CANCELLED, "VENDOR_ON_THE_MOON"), "ALERT_OPERATORS");
  assert.equal(decision(status.CANCELLED, "VENDOR_ON_THE_MOON", { cancelling }), "ALERT_OPERATORS");
  assert.equal(decision(status.INTERNAL, "INTERNAL", { cancelling }), "READ_RESULT");
  assert.equal(decision(status.INTERNAL, undefined, { cancelling }), "ALERT_OPERATORS");
  assert.equal(decision(status.RESOURCE_EXHAUSTED, undefined, { cancelling }), "RETRY_LATER");
  assert.equal(decision(status.UNAVAILABLE, "VENDOR_UNAVAILABLE", { cancelling }), "RETRY_LATER");
});

function decision(
  code: status,
  reason: string | undefined,
  { domain = "callrequest.v1", cancelling = false } = {},
): Decision {
  const metadata = new Metadata();
  if (reason !== undefined) {
    const value = ErrorInfo.encode({ reason, domain, metadata: {} }).finish();
    const details = [{ typeUrl: `type.googleapis.com/${ErrorInfo.$type}`, value }];
    metadata.set("grpc-status-details-bin", Buffer.from(Status.encode({ code, message: "", details }).finish()));
  }
  const error: ServiceError = Object.assign(new Error(), { code, details: "", metadata });
  return new CallFailed(error, cancelling).decision;
}
