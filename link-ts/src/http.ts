import { abortReason, KalamError } from "./errors.js";
import type { StatementResult } from "./types.js";

/** The envelope of `/v1/api/sql`. */
export interface Envelope {
  status: "success" | "error";
  results: StatementResult[];
  took: number;
  error?: {
    code: string;
    message: string;
    details?: string | null;
    hint?: string;
  };
}

interface LoginAnswer {
  access_token: string;
  refresh_token: string;
}

interface Refusal {
  error?: unknown;
  message?: unknown;
}

// Enough of an answer that is not the server's, a proxy's page for example, to recognise it.
const SHOWN_CHARS_MAX = 200;

const UNAUTHORIZED = 401;
const TOO_MANY_REQUESTS = 429;
const SERVER_ERRORS = 500;

/** Requests to a server, or to the next one of several if it cannot be reached. */
export class Http {
  readonly #bases: string[];
  readonly #fetch: typeof fetch;
  #current = 0;

  constructor(bases: string[], fetch: typeof globalThis.fetch) {
    this.#bases = bases.map((base) => base.replace(/\/+$/, ""));
    this.#fetch = fetch;
  }

  async sql(
    body: string,
    token: string | undefined,
    signal?: AbortSignal,
  ): Promise<Envelope> {
    const answer = await this.#post("/v1/api/sql", body, token, signal);
    const envelope = answer.json as Partial<Envelope> | undefined;
    if (envelope?.status === "success" && envelope.results)
      return envelope as Envelope;
    if (envelope?.status === "error" && envelope.error)
      throw toError(envelope.error, answer.status);
    throw refusal(answer);
  }

  async login(user: string, password: string): Promise<LoginAnswer> {
    return this.#tokens(
      "/v1/api/auth/login",
      JSON.stringify({ user, password }),
    );
  }

  async refresh(token: string): Promise<LoginAnswer> {
    return this.#tokens("/v1/api/auth/refresh", undefined, token);
  }

  async #tokens(
    path: string,
    body: string | undefined,
    token?: string,
  ): Promise<LoginAnswer> {
    const answer = await this.#post(path, body, token);
    const tokens = answer.json as Partial<LoginAnswer> | undefined;
    if (answer.status === 200 && tokens?.access_token && tokens.refresh_token)
      return tokens as LoginAnswer;
    throw refusal(answer);
  }

  async #post(
    path: string,
    body: string | undefined,
    token: string | undefined,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const headers: Record<string, string> = {};
    if (body !== undefined) headers["content-type"] = "application/json";
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    const init: RequestInit = { method: "POST", headers };
    if (body !== undefined) init.body = body;
    if (signal) init.signal = signal;
    let failure: unknown;
    for (let tried = 0; tried < this.#bases.length; tried += 1) {
      const base = this.#bases[this.#current % this.#bases.length];
      try {
        const { status, text } = await this.#send(`${base}${path}`, init);
        return { status, text, json: parse(text) };
      } catch (error) {
        if (signal?.aborted) throw abortReason(signal);
        failure = error;
        this.#current += 1;
        // Whether it was executed is not known once the connection stood.
        if (!isUnsent(error)) break;
      }
    }
    throw new KalamError({
      code: "UNREACHABLE",
      message: `could not reach ${this.#bases.join(", ")}`,
      retryable: true,
      cause: failure,
    });
  }

  async #send(url: string, init: RequestInit) {
    const send = this.#fetch;
    const response = await send(url, init);
    return { status: response.status, text: await response.text() };
  }
}

interface Answer {
  status: number;
  text: string;
  json: unknown;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether no connection was made, as far as the platform tells. */
function isUnsent(error: unknown): boolean {
  const cause = (error as { cause?: { code?: unknown } } | undefined)?.cause;
  return cause?.code === "ECONNREFUSED" || cause?.code === "ENOTFOUND";
}

/** A server's error as a {@link KalamError}. */
export function toError(
  error: NonNullable<Envelope["error"]>,
  status?: number,
): KalamError {
  return new KalamError({
    code: error.code,
    message: error.message,
    hint: error.hint,
    details: error.details ?? undefined,
    status,
  });
}

/** Of a request that was not let in, or an answer that is no server's. */
function refusal({ status, text, json }: Answer): KalamError {
  const { error, message } = (json ?? {}) as Refusal;
  if (typeof error === "string" && typeof message === "string")
    return new KalamError({
      code:
        status === UNAUTHORIZED ? "INVALID_CREDENTIALS" : error.toUpperCase(),
      message,
      retryable: status === TOO_MANY_REQUESTS || status >= SERVER_ERRORS,
      status,
    });
  return new KalamError({
    code: "PROTOCOL",
    message: `unexpected answer with status ${status}: ${text.slice(0, SHOWN_CHARS_MAX)}`,
    retryable: status >= SERVER_ERRORS,
    status,
  });
}
