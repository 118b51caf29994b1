import type { TokenSource } from "./auth.js";
import { KalamError } from "./errors.js";
import type { Envelope, Http } from "./http.js";
import type { QueryOptions } from "./types.js";
import { toCell } from "./values.js";

/** Codes that say the token is to blame, and that the statement was not executed. */
const TOKEN_CODES = new Set([
  "TOKEN_EXPIRED",
  "INVALID_SIGNATURE",
  "INVALID_CREDENTIALS",
]);

/** Runs statements over HTTP. A token that was refused is renewed once. */
export async function runQuery(
  http: Http,
  tokens: TokenSource,
  sql: string,
  params: readonly unknown[] | undefined,
  { signal, namespace, requestId }: QueryOptions,
): Promise<Envelope> {
  signal?.throwIfAborted();
  const body = JSON.stringify({
    sql,
    params: params?.length ? params.map(toCell) : undefined,
    namespace_id: namespace,
    request_id: requestId,
  });
  const token = await tokens.get("use");
  try {
    return await http.sql(body, token, signal);
  } catch (error) {
    if (
      token === undefined ||
      !(error instanceof KalamError) ||
      error.status !== 401 ||
      !TOKEN_CODES.has(error.code)
    )
      throw error;
    const fresh = await tokens.get("refused", token).catch(() => undefined);
    if (fresh === undefined) throw error;
    return http.sql(body, fresh, signal);
  }
}
