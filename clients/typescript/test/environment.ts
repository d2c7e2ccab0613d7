/** What the tests run against. Environment variables have its addresses; a test without its own is skipped with a message. */

import { type TestContext, test } from "node:test";

import type { CallRequestServiceClient } from "@callrequest/v1";

export type Variable =
  | "CALL_REQUEST_GATEWAY"
  | "CALL_REQUEST_SANDBOX"
  | "CALL_REQUEST_GATEWAY_RESTLESS"
  | "CALL_REQUEST_GATEWAY_SILENT"
  | "CALL_REQUEST_GATEWAY_TLS"
  | "CALL_REQUEST_CA"
  | "CALL_REQUEST_TOKEN"
  | "CALL_REQUEST_READER_TOKEN"
  | "CALL_REQUEST_GATEWAY_NEXT"
  | "CALL_REQUEST_GATEWAY_FLAWED";

/** A test that needs these variables. With REQUIRE_ALL=1 it fails without them. */
export function scenario<Name extends Variable>(
  name: string,
  needs: readonly Name[],
  body: (env: Record<Name, string>, t: TestContext) => Promise<void> | void,
): void {
  const missing = needs.filter((variable) => process.env[variable] === undefined);
  const reason = `not set: ${missing.join(", ")}`;
  const required = process.env.REQUIRE_ALL === "1";
  void test(name, { skip: missing.length > 0 && !required && reason }, async (t) => {
    if (missing.length > 0) {
      throw new Error(reason);
    }
    await body(process.env as Record<Name, string>, t);
  });
}

/** Closes a client when its test ends. */
export function closing(t: TestContext, gateway: CallRequestServiceClient): CallRequestServiceClient {
  t.after(() => {
    gateway.close();
  });
  return gateway;
}
