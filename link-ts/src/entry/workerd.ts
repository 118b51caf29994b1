import module from "../../wasm/kalam_link_wasm_bg.wasm";
import { type ClientOptions, KalamClient } from "../client.js";
import { globalSocket, type Platform } from "../platform.js";

export * from "../index.js";

const platform: Platform = {
  // Compiled by the runtime: code from elsewhere is not allowed there.
  loadModule: async () => module,
  loadSocket: async () =>
    globalSocket() as NonNullable<ReturnType<typeof globalSocket>>,
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
