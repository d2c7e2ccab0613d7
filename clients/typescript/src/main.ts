/** Reads the result of a call request, follows it or cancels one: client result <id>, follow <id>, cancel <id>. */

import { readFileSync } from "node:fs";

import { describeCancellation, describeFailure, describeResult } from "./answers.js";
import { cancel, readResult } from "./calls.js";
import { connect } from "./channel.js";
import { CallFailed } from "./failures.js";
import { follow } from "./following.js";

const {
  CALL_REQUEST_GATEWAY: address = "127.0.0.1:50051",
  CALL_REQUEST_CA: ca,
  CALL_REQUEST_TOKEN: token,
} = process.env;
const [command, callRequestId = ""] = process.argv.slice(2);

const gateway = connect(address, ca === undefined ? undefined : { ca: readFileSync(ca), token });
try {
  switch (command) {
    case "result":
      console.log(describeResult(await readResult(gateway, callRequestId)));
      break;
    case "follow":
      for await (const result of follow(gateway, callRequestId)) console.log(describeResult(result));
      break;
    case "cancel":
      console.log(describeCancellation(await cancel(gateway, callRequestId)));
      break;
    default:
      console.error("usage: client result <id> | client follow <id> | client cancel <id>");
      process.exitCode = 2;
  }
} catch (error) {
  if (!(error instanceof CallFailed)) {
    throw error;
  }
  console.error(describeFailure(error));
  process.exitCode = 1;
} finally {
  gateway.close();
}
