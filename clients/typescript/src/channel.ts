/** Makes the channel to the gateway: where it is, who we are, and the recommended service config. */

import { readFileSync } from "node:fs";

import { CallRequestServiceClient } from "@callrequest/v1";
import { type ChannelCredentials, type ChannelOptions, Metadata, credentials } from "@grpc/grpc-js";

/** What to trust and who we are. The token is part of it because it must not travel in plaintext. */
export interface Tls {
  /** The gateway's CA certificates, PEM. */
  readonly ca: Buffer;
  /** The bearer token. Without it the gateway has to know us in another way. */
  readonly token?: string | undefined;
}

/** Retries for reads, none for cancels, deadlines, round robin. It comes with the stubs. */
const RECOMMENDED: ChannelOptions = {
  "grpc.service_config": readFileSync(new URL(import.meta.resolve("@callrequest/v1/service_config.json")), "utf8"),
  "grpc.service_config_disable_resolution": 1, // or a TXT record in DNS would replace it
  // A process that ends may still take a connection, and break it: else the channel would wait for a second then.
  "grpc.initial_reconnect_backoff_ms": 100,
  // A connection that is gone without a word is noticed within 30 s. Without pings calls on it fail, and watches wait,
  // until the kernel gives it up. The gateway takes a ping every 10 s.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // Else all clients of the program to the same address would share one connection, and with it its 96 watches.
  "grpc.use_local_subchannel_pool": 1,
};

/**
 * Makes a client with a connection of its own. Make one and keep it for the whole program: it connects by itself, again
 * when the connection breaks, and carries any number of reads and cancels at once, but only 96 watches: who follows more
 * call requests makes more clients. Without tls it is plaintext.
 */
export function connect(address: string, tls?: Tls): CallRequestServiceClient {
  return new CallRequestServiceClient(address, tls ? identity(tls) : credentials.createInsecure(), RECOMMENDED);
}

function identity({ ca, token }: Tls): ChannelCredentials {
  const channel = credentials.createSsl(ca);
  if (token === undefined) {
    return channel;
  }
  const bearer = credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    done(null, metadata);
  });
  return credentials.combineChannelCredentials(channel, bearer);
}
