import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

import { CallRequestServiceClient, CallRequestStatus } from "@callrequest/v1";
import { Server, ServerCredentials, credentials, status } from "@grpc/grpc-js";
import { service as health } from "grpc-health-check";

import { cancel, readResult } from "../src/calls.js";
import { connect } from "../src/channel.js";
import { closing, scenario } from "./environment.js";
import { failing } from "./failing.js";
import { Sandbox } from "./sandbox.js";

// Over TLS the token identifies the caller: no call without it, and a reader may not cancel.
scenario(
  "sends_its_identity",
  ["CALL_REQUEST_GATEWAY_TLS", "CALL_REQUEST_CA", "CALL_REQUEST_TOKEN", "CALL_REQUEST_READER_TOKEN"],
  async (env, t) => {
    const ca = readFileSync(env.CALL_REQUEST_CA);
    const as = (token?: string) => closing(t, connect(env.CALL_REQUEST_GATEWAY_TLS, { ca, token }));

    const canceller = as(env.CALL_REQUEST_TOKEN);
    await cancel(canceller, "cancelAccepted01");
    assert.equal((await readResult(canceller, "cancelAccepted01")).status, CallRequestStatus.CANCELLED);

    const nobody = await failing(readResult(as(), "statusPending001"));
    assert.equal(nobody.code, status.UNAUTHENTICATED);
    assert.equal(nobody.reason, "CALLER_UNAUTHENTICATED");

    const reader = as(env.CALL_REQUEST_READER_TOKEN);
    await readResult(reader, "statusPending001");
    const forbidden = await failing(cancel(reader, "statusPending001"));
    assert.equal(forbidden.code, status.PERMISSION_DENIED);
    assert.equal(forbidden.reason, "CALLER_FORBIDDEN");
  },
);

// The service config repeats a read, no loop of the program's own: the same without it fails.
scenario("retries_reads_by_service_config", ["CALL_REQUEST_GATEWAY", "CALL_REQUEST_SANDBOX"], async (env, t) => {
  const sandbox = new Sandbox(env.CALL_REQUEST_SANDBOX);
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY));
  const bare = closing(t, new CallRequestServiceClient(env.CALL_REQUEST_GATEWAY, credentials.createInsecure()));
  const failsOften = { status: "COMPLETED", fault: "unavailable", times: 4 }; // the gateway itself tries 3 times
  for (let good = 0; good < 3; good++) {
    await readResult(gateway, "statusCompleted1"); // so that the gateway does not spare a vendor that failed before
  }

  assert.equal((await readResult(gateway, await sandbox.make(failsOften))).status, CallRequestStatus.COMPLETED);

  const failure = await failing(readResult(bare, await sandbox.make(failsOften)));
  assert.equal(failure.code, status.UNAVAILABLE);
  assert.equal(failure.reason, "VENDOR_UNAVAILABLE");
});

// After an attempt to connect that failed the next one comes in less than the second that gRPC waits by itself.
scenario("connects_again_soon", [], async (_, t) => {
  const listen = async (port: number) => {
    const server = new Server();
    t.after(() => {
      server.forceShutdown();
    });
    const bind = promisify<string, ServerCredentials, number>(server.bindAsync.bind(server));
    return { server, port: await bind(`127.0.0.1:${port.toString()}`, ServerCredentials.createInsecure()) };
  };
  const { server, port } = await listen(0);
  server.forceShutdown();

  const gateway = closing(t, connect(`127.0.0.1:${port.toString()}`));
  const ready = promisify<number>(gateway.waitForReady.bind(gateway))(Date.now() + 600);
  await pause(200);
  await listen(port);
  await ready;
});

// @grpc/grpc-js has no client-side health checking, so a program that wants to know asks, on the channel it has.
scenario("watches_health", ["CALL_REQUEST_GATEWAY"], async (env, t) => {
  const gateway = closing(t, connect(env.CALL_REQUEST_GATEWAY));
  const check = health.Check;
  assert.ok(check);
  const answer = await new Promise((resolve, reject) => {
    gateway.makeUnaryRequest(
      check.path,
      check.requestSerialize,
      check.responseDeserialize,
      { service: "callrequest.v1.CallRequestService" },
      (error, response) => {
        if (error) reject(error);
        else resolve(response);
      },
    );
  });
  assert.deepEqual(answer, { status: "SERVING" });
});
