import packed from "virtual:core";
import { type ClientOptions, KalamClient } from "../client.js";
import { KalamError } from "../errors.js";
import { globalSocket, type Platform, unpack } from "../platform.js";

export * from "../index.js";

const platform: Platform = {
  loadModule: () => unpack(packed),
  loadSocket: async () => {
    const socket = globalSocket();
    if (socket) return socket;
    throw new KalamError({
      code: "UNSUPPORTED",
      message: "there is no WebSocket here",
      hint: "give one as the option `WebSocket`",
    });
  },
};

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
