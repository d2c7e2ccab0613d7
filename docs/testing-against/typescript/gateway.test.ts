// Tests against a gateway of their own, whose vendor is the sandbox.
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

/** A gateway on free ports, with control of the sandbox behind it. */
class Gateway {
  private constructor(
    readonly address: string,
    private readonly sandbox: string,
    private readonly process: ChildProcess,
  ) {}

  static async start(): Promise<Gateway> {
    const [address, ready, sandbox] = [await freeAddress(), await freeAddress(), await freeAddress()];
    const [command = "", ...words] = (process.env["GATEWAY_COMMAND"] ?? "call-request-gateway serve").split(" ");
    const settings = {
      GATEWAY_LISTEN: address,
      GATEWAY_METRICS_LISTEN: ready,
      GATEWAY_SANDBOX_LISTEN: sandbox,
      GATEWAY_DEFAULT_MAX_AGE: "0", // every read asks the sandbox, so that a change is seen at once
      GATEWAY_FINAL_MAX_AGE: "0",
      GATEWAY_DRAIN_DELAY: "0",
    };
    const child = spawn(command, words, { env: { ...process.env, ...settings }, stdio: "inherit" });
    await waitUntilReady(`http://${ready}/ready`);
    return new Gateway(address, `http://${sandbox}/sandbox`, child);
  }

  /** Makes a call request; its fields are in docs/sandbox.md. */
  callRequest(id: string, fields: object): Promise<void> {
    return this.control("PUT", `/call-requests/${id}`, fields);
  }

  /** Moves the sandbox's clock, and with it every call request's life. */
  advance(seconds: number): Promise<void> {
    return this.control("POST", "/clock", { advance: seconds });
  }

  /** Has the vendor fail. */
  fault(fields: object): Promise<void> {
    return this.control("POST", "/faults", fields);
  }

  /** Brings the sandbox back to its start. Tokens stay valid: the gateway fetches few. */
  reset(): Promise<void> {
    return this.control("POST", "/reset", { keep_tokens: true });
  }

  async stop(): Promise<void> {
    this.process.kill();
    await once(this.process, "exit");
  }

  private async control(method: string, path: string, fields: object): Promise<void> {
    const answer = await fetch(this.sandbox + path, { method, body: JSON.stringify(fields) });
    assert.ok(answer.ok, `${method} ${path}: ${await answer.text()}`);
  }
}

async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return `127.0.0.1:${port}`;
}

async function waitUntilReady(url: string): Promise<void> {
  for (const latest = Date.now() + 20_000; Date.now() < latest; await pause(50)) {
    const answer = await fetch(url).catch(() => undefined); // it does not listen yet
    if (answer?.ok) return;
  }
  throw new Error(`${url}: not ready after 20 s`);
}

let gateway: Gateway;
before(async () => {
  gateway = await Gateway.start();
});
beforeEach(() => gateway.reset());
after(() => gateway.stop());

test("the result follows the call", async () => {
  await gateway.callRequest("hotelIsPhoned001", { call_in: 3600, call_takes: 60 });
  assert.match(read("hotelIsPhoned001"), /CALL_REQUEST_STATUS_PENDING_TO_CALL/);
  await gateway.advance(3600);
  assert.match(read("hotelIsPhoned001"), /CALL_REQUEST_STATUS_IN_PROGRESS/);
  await gateway.advance(60);
  assert.match(read("hotelIsPhoned001"), /CALL_STATUS_SUCCESS/);
});

test("an outage of the vendor is an error", async () => {
  await gateway.callRequest("hotelIsPhoned001", { status: "COMPLETED" });
  await gateway.fault({ operation: "result", fault: "unavailable" });
  assert.match(read("hotelIsPhoned001"), /VENDOR_UNAVAILABLE/);
});

/** Stands in for what you want to test, which calls the gateway by its stubs. */
function read(id: string): string {
  const request = JSON.stringify({ call_request_id: id });
  const method = "callrequest.v1.CallRequestService/GetCallRequestResult";
  const output = spawnSync("grpcurl", ["-plaintext", "-d", request, gateway.address, method], { encoding: "utf8" });
  return output.stdout + output.stderr;
}
