// Tests against a gateway of their own, whose vendor is the sandbox.
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

/** A gateway on free ports, with control of the sandbox behind it. */
class Gateway {
  private constructor(
    readonly address: string,
    /** For a call request whose result the vendor is to push. */
    readonly webhook: { url: string; token: string },
    private readonly sandbox: string,
    private readonly process: ChildProcess,
  ) {}

  static async start(): Promise<Gateway> {
    const [address, ready, sandbox, webhook] = await Promise.all([1, 2, 3, 4].map(freeAddress));
    const token = "a-token-of-the-vendor";
    const [command = "", ...words] = (process.env["GATEWAY_COMMAND"] ?? "call-request-gateway serve").split(" ");
    const settings = {
      GATEWAY_LISTEN: address,
      GATEWAY_METRICS_LISTEN: ready,
      GATEWAY_SANDBOX_LISTEN: sandbox,
      GATEWAY_DEFAULT_MAX_AGE: "0", // every read asks the sandbox, so that a change is seen at once
      GATEWAY_FINAL_MAX_AGE: "0",
      GATEWAY_DRAIN_DELAY: "0",
      GATEWAY_WATCH_PENDING_INTERVAL: "0.2", // so soon a watcher sees it
      GATEWAY_WATCH_IN_PROGRESS_INTERVAL: "0.2",
      GATEWAY_WEBHOOK_LISTEN: webhook,
      GATEWAY_WEBHOOK_TOKENS: token,
    };
    const child = spawn(command, words, {
      env: { ...process.env, ...settings },
      stdio: ["ignore", "ignore", "inherit"], // stdout is its log, and the test runner's report
    });
    const ended = new AbortController();
    child.once("error", (error) => ended.abort(error)); // there is no such command
    child.once("exit", () => ended.abort(new Error("the gateway ended: stderr has why")));
    await waitUntilReady(`http://${ready}/ready`, ended.signal).catch((error) => {
      child.kill();
      throw error;
    });
    const url = `http://${webhook}/webhooks/call-request-completed`;
    return new Gateway(`${address}`, { url, token }, `http://${sandbox}/sandbox`, child);
  }

  /** Makes a call request; its fields are in docs/sandbox.md. */
  async callRequest(id: string, fields: object): Promise<void> {
    await this.control("PUT", `/call-requests/${id}`, fields);
  }

  /** Moves the sandbox's clock, and with it every call request's life. */
  async advance(seconds: number): Promise<void> {
    await this.control("POST", "/clock", { advance: seconds });
  }

  /** Has the vendor fail. */
  async fault(fields: object): Promise<void> {
    await this.control("POST", "/faults", fields);
  }

  /** Brings the sandbox back to its start. */
  async reset(): Promise<void> {
    await this.control("POST", "/reset");
  }

  /** The HTTP statuses that the webhook has answered pushes about a call request with. */
  async pushed(id: string): Promise<number[]> {
    const { pushes } = (await this.control("GET", "/pushes")) as { pushes: { id: string; status: number }[] };
    return pushes.filter((push) => push.id === id).map((push) => push.status);
  }

  async stop(): Promise<void> {
    const ended = once(this.process, "exit");
    if (this.process.kill()) await ended;
  }

  private async control(method: string, path: string, fields?: object): Promise<unknown> {
    const answer = await fetch(this.sandbox + path, { method, body: fields ? JSON.stringify(fields) : null });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }
}

/** None of the ports that the kernel assigns: another program could get it before the gateway does. */
async function freeAddress(): Promise<string> {
  const port = randomInt(20_000, 32_000);
  const server = createServer().listen(port, "127.0.0.1");
  const isFree = await once(server, "listening").catch(() => undefined);
  server.close();
  return isFree ? `127.0.0.1:${port}` : freeAddress();
}

async function waitUntilReady(url: string, ended: AbortSignal): Promise<void> {
  for (const latest = Date.now() + 20_000; Date.now() < latest; await pause(50)) {
    ended.throwIfAborted();
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
after(() => gateway?.stop());

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

test("a watcher sees the call begin and end", async (t) => {
  await gateway.callRequest("hotelIsPhoned001", { call_in: 3600, call_takes: 60 });
  const watch = spawn("grpcurl", call("WatchCallRequestResult", "hotelIsPhoned001"));
  t.after(() => watch.kill());
  const ended = once(watch, "exit");
  const lines = createInterface(watch.stdout)[Symbol.asyncIterator]();
  await until(lines, "CALL_REQUEST_STATUS_PENDING_TO_CALL");
  await gateway.advance(3600);
  await until(lines, "CALL_REQUEST_STATUS_IN_PROGRESS");
  await gateway.advance(60);
  await until(lines, "CALL_STATUS_SUCCESS");
  assert.deepEqual(await ended, [0, null]); // a final result ends it
});

test("the vendor pushes the result", async () => {
  await gateway.callRequest("resultIsPushed01", { call_in: 3600, call_takes: 60, webhook: gateway.webhook });
  await gateway.advance(3660);
  const latest = Date.now() + 20_000;
  while (!(await gateway.pushed("resultIsPushed01")).includes(202)) {
    // not signed: the gateway reads the result
    assert.ok(Date.now() < latest);
    await pause(50);
  }
});

/** Stands in for what you want to test, which calls the gateway by its stubs. */
function read(id: string): string {
  const output = spawnSync("grpcurl", call("GetCallRequestResult", id), { encoding: "utf8" });
  if (output.error) throw output.error;
  return output.stdout + output.stderr;
}

function call(method: string, id: string): string[] {
  const request = JSON.stringify({ call_request_id: id });
  return ["-plaintext", "-d", request, gateway.address, `callrequest.v1.CallRequestService/${method}`];
}

/** Reads what a watch prints, up to that text. */
async function until(lines: AsyncIterator<string>, text: string): Promise<void> {
  for (let line = await lines.next(); !line.done; line = await lines.next()) if (line.value.includes(text)) return;
  assert.fail(`no ${text}`);
}
