import type { CoreEvent } from "./core.js";
import { Link, websocketUrl } from "./core.js";
import { KalamError } from "./errors.js";
import type { ReconnectOptions, SocketLike } from "./types.js";

/**
 * A class like the standard's `WebSocket`.
 *
 * @example
 * ```ts
 * const given: SocketConstructor = WebSocket as unknown as SocketConstructor;
 * createClient({ url: "http://localhost:8080", WebSocket: given });
 * ```
 */
export type SocketConstructor = new (url: string) => SocketLike;

/** Why the core asks for credentials. */
const ASK = ["dial", "expiring", "refused"] as const;

export interface HostOptions {
  urls: string[];
  reconnect: ReconnectOptions;
  socket: SocketConstructor;
  onEvent: (event: CoreEvent) => void;
  /** Gives a token, or throws. */
  onAsk: (reason: (typeof ASK)[number]) => Promise<string | undefined>;
  /** The core broke down: nothing works any more. */
  onBroken: (error: KalamError) => void;
}

const ENCODER = new TextEncoder();
// Of one of the two bytes of a character at most three come.
const UTF8_BYTES_MAX = 3;
let encoded = new Uint8Array(2 ** 14);

/** Text in UTF-8, in memory that the next call uses again. */
function encode(text: string): Uint8Array {
  if (encoded.length < text.length * UTF8_BYTES_MAX)
    encoded = new Uint8Array(text.length * UTF8_BYTES_MAX);
  return encoded.subarray(0, ENCODER.encodeInto(text, encoded).written);
}

// What a timer of the platform holds.
const TIMEOUT_MAX_MS = 2 ** 31 - 1;

/** Bounds of the delays between tries. */
export const DELAY_FIRST_MS = 500;
export const DELAY_MAX_MS = 30_000;
/** No limit of tries. */
export const ENDLESS = -1;

/** Sockets, a clock and a timer for the core; decides nothing. */
export class Host {
  readonly #options: HostOptions;
  readonly #link: Link;
  readonly #events: string[] = [];
  #socket: SocketLike | undefined;
  #connection = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDraining = false;
  #isBroken = false;

  constructor(options: HostOptions) {
    this.#options = options;
    const { delayFirstMs, delayMaxMs, attemptsMax } = options.reconnect;
    this.#link = new Link(
      options.urls.map(websocketUrl).join("\n"),
      Math.random(),
      delayFirstMs ?? DELAY_FIRST_MS,
      delayMaxMs ?? DELAY_MAX_MS,
      attemptsMax ?? ENDLESS,
      this,
    );
  }

  get isReady(): boolean {
    return !this.#isBroken && this.#link.ready;
  }

  /** Tells the core something, and passes on what it says to that. */
  run(tell: (link: Link) => void): void {
    if (this.#isBroken) return;
    try {
      tell(this.#link);
    } catch (cause) {
      if (!(cause instanceof WebAssembly.RuntimeError)) throw cause;
      this.#break(cause);
      return;
    }
    this.#drain();
  }

  // What the core calls. None of these may tell it anything before it returns.

  now(): number {
    return performance.now();
  }

  dial(connection: number, url: string): void {
    this.#leave();
    this.#connection = connection;
    let isOpen = false;
    let socket: SocketLike;
    try {
      socket = new this.#options.socket(url);
    } catch (error) {
      // A malformed address, or a page that may not open such a socket.
      queueMicrotask(() =>
        this.run((link) => link.failed(connection, undefined, String(error))),
      );
      return;
    }
    this.#socket = socket;
    socket.onopen = () => {
      isOpen = true;
      this.run((link) => link.opened(connection));
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string")
        this.run((link) => link.frame(connection, encode(data)));
    };
    // `onclose` always follows, with what there is to know.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }) =>
      this.run((link) =>
        isOpen
          ? link.closed(connection, code, reason)
          : link.failed(connection, undefined, "could not open a socket"),
      );
  }

  send(connection: number, text: string): void {
    if (connection === this.#connection) this.#socket?.send(text);
  }

  close(connection: number, code: number, reason: string): void {
    if (connection === this.#connection) this.#leave(code, reason);
  }

  ask(reason: number): void {
    const give = async () => {
      try {
        const token = await this.#options.onAsk(ASK[reason] ?? "refused");
        this.run((link) =>
          token === undefined
            ? link.giveNone(false, "the client has no credentials")
            : link.giveToken(token),
        );
      } catch (error) {
        const isTemporary = error instanceof KalamError && error.retryable;
        const message = error instanceof Error ? error.message : String(error);
        this.run((link) => link.giveNone(isTemporary, message));
      }
    };
    void give();
  }

  event(json: string): void {
    this.#events.push(json);
  }

  wait(at: number): void {
    clearTimeout(this.#timer);
    if (at < 0) return;
    const delay = Math.min(Math.max(0, at - this.now()), TIMEOUT_MAX_MS);
    // Rounded up: the core's clock counts whole milliseconds.
    this.#timer = setTimeout(
      () => this.run((link) => link.timer()),
      Math.ceil(delay) + 1,
    );
  }

  #leave(code?: number, reason?: string): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = undefined;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    // Closing before it is open is an error to some.
    socket.onerror = () => {};
    try {
      socket.close(code, reason);
    } catch {
      // It is given up in any case.
    }
  }

  /** Passes events on one after another, also those to which a handler leads. */
  #drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      for (let json = this.#events.shift(); json; json = this.#events.shift())
        this.#options.onEvent(JSON.parse(json));
    } finally {
      this.#isDraining = false;
    }
  }

  #break(cause: unknown): void {
    this.#isBroken = true;
    clearTimeout(this.#timer);
    this.#leave();
    this.#options.onBroken(
      new KalamError({
        code: "INTERNAL_ERROR",
        message: "the client's core broke down",
        hint: "make a new client, and report what was done before",
        cause,
      }),
    );
  }
}
