/**
 * Why something failed: the server's code, or one of the client's own.
 *
 * @example
 * ```ts
 * throw new KalamError({ code: "INVALID_INPUT", message: "there is no room", hint: "name one" });
 * ```
 */
export interface KalamErrorInit {
  code: string;
  message: string;
  retryable?: boolean;
  hint?: string | undefined;
  details?: string | undefined;
  status?: number | undefined;
  cause?: unknown;
}

/** Codes of the server after which the same request may work. */
const RETRYABLE = new Set([
  "CONFLICT",
  "RATE_LIMIT_EXCEEDED",
  "STORAGE_UNAVAILABLE",
  "NOT_LEADER",
  "CLUSTER_UNAVAILABLE",
  "LEADER_NOT_AVAILABLE",
  "SHUTTING_DOWN",
]);

/**
 * What every call of this package throws, but for `AbortError` where a signal was aborted.
 *
 * @example
 * ```ts
 * try {
 *   await client.query("SELECT * FROM chat.mesages");
 * } catch (error) {
 *   if (error instanceof KalamError && error.code === "TABLE_NOT_FOUND") {
 *     console.log(error.hint);
 *   }
 * }
 * ```
 */
export class KalamError extends Error {
  /** The server's code (`TABLE_NOT_FOUND`, …), or `UNREACHABLE`, `INTERRUPTED`, `DISCONNECTED`, `PROTOCOL`. */
  readonly code: string;
  /** Whether the same request may work later. */
  readonly retryable: boolean;
  /** What to do about it. */
  readonly hint: string | undefined;
  /** What is known beyond the message. */
  readonly details: string | undefined;
  /** Of the HTTP answer, if there was one. */
  readonly status: number | undefined;

  constructor(init: KalamErrorInit) {
    super(init.message, { cause: init.cause });
    this.name = "KalamError";
    this.code = init.code;
    this.retryable = init.retryable ?? RETRYABLE.has(init.code);
    this.hint = init.hint ?? undefined;
    this.details = init.details ?? undefined;
    this.status = init.status;
  }
}

/** What a promise of an aborted call is rejected with. */
export function abortReason(signal: AbortSignal): unknown {
  return signal.reason ?? new DOMException("aborted", "AbortError");
}

/** Calls a listener. One that throws must not stop the others: its error goes where uncaught errors go. */
export function guarded(listener: () => void): void {
  try {
    listener();
  } catch (cause) {
    queueMicrotask(() => {
      throw cause;
    });
  }
}
