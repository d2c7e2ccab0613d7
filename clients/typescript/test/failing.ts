import assert from "node:assert/strict";

import { CallFailed } from "../src/failures.js";

/** The failure of a call that has to fail. */
export async function failing(call: Promise<unknown>): Promise<CallFailed> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof CallFailed, String(error));
    return error;
  }
  return assert.fail("the call did not fail");
}
