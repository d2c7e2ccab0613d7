/** Calls the gateway, as promises with a deadline. */

import type { CallRequestResult, CallRequestServiceClient, Cancellation } from "@callrequest/v1";
import { Metadata, type ServiceError } from "@grpc/grpc-js";

import { CallFailed } from "./failures.js";

/** Reads where a call request stands. Rejects with CallFailed. */
export async function readResult(
  gateway: CallRequestServiceClient,
  callRequestId: string,
  timeoutMs = 5_000,
): Promise<CallRequestResult> {
  const method = gateway.getCallRequestResult.bind(gateway);
  return present((await unary(method, { callRequestId }, timeoutMs)).callRequestResult);
}

/** Cancels a call request, so that the hotel is not phoned. Rejects with CallFailed. */
export async function cancel(
  gateway: CallRequestServiceClient,
  callRequestId: string,
  timeoutMs = 10_000,
): Promise<Cancellation> {
  const method = gateway.cancelCallRequest.bind(gateway);
  return present((await unary(method, { callRequestId }, timeoutMs, true)).cancellation);
}

type Method<Request, Answer> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  done: (error: ServiceError | null, answer: Answer) => void,
) => void;

async function unary<Request, Answer>(
  method: Method<Request, Answer>,
  request: Request,
  timeoutMs: number,
  cancelling = false,
): Promise<Answer> {
  const call = new Promise<Answer>((resolve, reject) => {
    method(request, new Metadata(), { deadline: Date.now() + timeoutMs }, (error, answer) => {
      if (error) reject(error);
      else resolve(answer);
    });
  });
  try {
    return await call;
  } catch (error) {
    throw new CallFailed(error as ServiceError, cancelling);
  }
}

/** A field that the contract says is always set. Proto3 has no required messages, so its type has undefined. */
function present<Field>(field: Field | undefined): Field {
  if (field === undefined) {
    throw new TypeError("the gateway's answer is empty");
  }
  return field;
}
