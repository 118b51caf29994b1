import packed from "virtual:core";
import { type ClientOptions, KalamClient } from "../client.js";
import { KalamError } from "../errors.js";
import type { SocketConstructor } from "../host.js";
import { globalSocket, type Platform, unpack } from "../platform.js";

export * from "../index.js";

const platform: Platform = {
  loadModule: () => unpack(packed),
  loadSocket: async () => globalSocket() ?? (await packageSocket()),
};

/** Node before 22 has none of its own. */
async function packageSocket(): Promise<SocketConstructor> {
  try {
    const { WebSocket } = await import("ws");
    return WebSocket as unknown as SocketConstructor;
  } catch (cause) {
    throw new KalamError({
      code: "UNSUPPORTED",
      message:
        "there is no WebSocket in this version of Node, and no package `ws`",
      hint: "npm install ws",
      cause,
    });
  }
}

/**
 * Makes a client. Nothing is sent before the first call.
 *
 * @example
 * ```ts
 * import { Auth, createClient } from "kalam-link";
 *
 * const client = createClient({ url: "http://localhost:8080", auth: Auth.basic("alice", "Secret123!") });
 * ```
 */
export function createClient(options: ClientOptions): KalamClient {
  return new KalamClient(options, platform);
}
