/** The sandbox's control port: makes call requests and faults, and counts what the vendor was asked. */

import assert from "node:assert/strict";

export class Sandbox {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Restores the seed data. */
  async reset(): Promise<void> {
    await this.#control("POST", "reset", { keep_tokens: true });
  }

  /** Creates a call request and returns its id. */
  async make(fields: object): Promise<string> {
    const { id } = (await this.#control("POST", "call-requests", fields)) as { id: string };
    return id;
  }

  /** Makes the gateway's token invalid, and lets every request for a new one fail. */
  async refuseTokens(): Promise<void> {
    await this.#control("POST", "tokens/revoke");
    await this.#control("POST", "faults", { operation: "token", fault: "unavailable" });
  }

  async clearFaults(): Promise<void> {
    await this.#control("DELETE", "faults");
  }

  /** How often the vendor was asked so far, by operation. */
  async asked(): Promise<Record<"result" | "cancel" | "token", number>> {
    const { counts } = (await this.#control("GET", "requests")) as {
      counts: Record<"result" | "cancel" | "token", number>;
    };
    return counts;
  }

  async #control(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.#url}/sandbox/${path}`, {
      method,
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status.toString()} ${text}`);
    return JSON.parse(text) as unknown;
  }
}
