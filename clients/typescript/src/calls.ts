/** Calls the gateway, as promises with a deadline. */

import type { CallRequestResult, CallRequestServiceClient, Cancellation } from "@callrequest/v1";
import { Metadata, type ServiceError } from "@grpc/grpc-js";

import { CallFailed, FailedItem } from "./failures.js";

/** Reads where a call request stands. Rejects with CallFailed. */
export async function readResult(
  gateway: CallRequestServiceClient,
  callRequestId: string,
  timeoutMs = 5_000,
): Promise<CallRequestResult> {
  const method = gateway.getCallRequestResult.bind(gateway);
  return present((await unary(method, { callRequestId }, timeoutMs)).callRequestResult);
}

/** A result, or what the read of this id failed with. */
export type Item = CallRequestResult | FailedItem;

/** Reads 1 to 100 results at once: an item for each id, in their order. Rejects with CallFailed when all of it fails. */
export async function readMany(
  gateway: CallRequestServiceClient,
  callRequestIds: string[],
  timeoutMs = 5_000,
): Promise<Item[]> {
  const method = gateway.batchGetCallRequestResults.bind(gateway);
  const { items } = await unary(method, { callRequestIds }, timeoutMs);
  return items.map(({ callRequestResult, error }) => callRequestResult ?? new FailedItem(present(error)));
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

/** A field that is always set, by the contract. Proto3 has no required messages, so its type has undefined. */
export function present<Field>(field: Field | undefined): Field {
  if (field === undefined) {
    throw new TypeError("the gateway's answer is empty");
  }
  return field;
}
