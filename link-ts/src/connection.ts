import type { TokenSource } from "./auth.js";
import { type CoreEvent, loadCore } from "./core.js";
import { abortReason, guarded, KalamError } from "./errors.js";
import {
  DELAY_FIRST_MS,
  DELAY_MAX_MS,
  ENDLESS,
  Host,
  type SocketConstructor,
} from "./host.js";
import { type Platform, watchNetwork } from "./platform.js";
import type { ReconnectOptions } from "./types.js";

/** What a connection needs of its client. */
export interface ConnectionOptions {
  urls: string[];
  reconnect: ReconnectOptions;
  platform: Platform;
  tokens: TokenSource;
  socket: SocketConstructor | undefined;
  /** What the core says of subscriptions. */
  onSubscription: (event: Extract<CoreEvent, { id: string }>) => void;
  /** Nothing more will come, until `connect`. */
  onFailed: (error: KalamError) => void;
}

/** The socket of a client across reconnects: opens the core when it is first needed, and tells how it stands. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly onConnect = new Set<() => void>();
  readonly onDisconnect = new Set<(message: string) => void>();
  readonly onError = new Set<(error: KalamError) => void>();
  #reconnect: ReconnectOptions;
  #host: Host | undefined;
  #starting: Promise<Host> | undefined;
  /** Ends what listens to the browser, while the connection is wanted. */
  #unwatch: (() => void) | undefined;
  /** What the server saw last. */
  #token: string | undefined;
  /** Why there was no token, of which the core knows only the text. */
  #noToken: KalamError | undefined;
  #connecting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  isConnected = false;
  isAutoReconnect = true;
  /** Tries since the connection was last open. */
  attempts = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#reconnect = options.reconnect;
  }

  get host(): Host | undefined {
    return this.#host;
  }

  async connect(signal: AbortSignal | undefined): Promise<void> {
    const host = await this.#start();
    if (signal?.aborted) throw abortReason(signal);
    this.#watch(host);
    if (host.isReady) return;
    const opened = new Promise<void>((resolve, reject) => {
      this.#connecting.push({ resolve, reject });
      signal?.addEventListener("abort", () => reject(abortReason(signal)), {
        once: true,
      });
    });
    host.run((link) => link.connect());
    return opened;
  }

  async disconnect(): Promise<void> {
    const host = this.#host ?? (await this.#starting);
    this.#ignore();
    host?.run((link) => link.disconnect());
  }

  #watch(host: Host): void {
    this.#unwatch ??= watchNetwork((hint) => host.run((link) => link[hint]()));
  }

  #ignore(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
  }

  /** Bounds of the delays between tries, in ms. */
  setDelay(firstMs: number, maxMs: number | undefined): void {
    const delayMaxMs = maxMs ?? this.#reconnect.delayMaxMs;
    this.#reconnect = { ...this.#reconnect, delayFirstMs: firstMs };
    if (delayMaxMs !== undefined) this.#reconnect.delayMaxMs = delayMaxMs;
    this.#apply();
  }

  /** 0: without end. */
  setAttemptsMax(attempts: number): void {
    const { attemptsMax: _, ...others } = this.#reconnect;
    this.#reconnect =
      attempts > 0 ? { ...others, attemptsMax: attempts } : others;
    this.#apply();
  }

  #apply(): void {
    this.#host?.run((link) =>
      link.setReconnect(
        this.#reconnect.delayFirstMs ?? DELAY_FIRST_MS,
        this.#reconnect.delayMaxMs ?? DELAY_MAX_MS,
        this.#reconnect.attemptsMax ?? ENDLESS,
      ),
    );
  }

  /** Does something that needs the connection now, or as soon as there is a host. */
  withHost(use: (host: Host) => void): void {
    const begin = (host: Host) => {
      this.#watch(host);
      use(host);
    };
    if (this.#host) begin(this.#host);
    else this.#start().then(begin, (error) => this.report(toKalamError(error)));
  }

  async #start(): Promise<Host> {
    this.#starting ??= this.#open();
    return this.#starting;
  }

  async #open(): Promise<Host> {
    try {
      const given = this.#options.socket;
      const [socket] = await Promise.all([
        given ?? this.#options.platform.loadSocket(),
        loadCore(this.#options.platform.loadModule),
      ]);
      const host = new Host({
        urls: this.#options.urls,
        reconnect: this.#reconnect,
        socket,
        onEvent: (event) => this.#take(event),
        onAsk: async (reason) => {
          try {
            this.#noToken = undefined;
            this.#token = await this.#options.tokens.get(reason, this.#token);
            return this.#token;
          } catch (error) {
            this.#noToken = toKalamError(error);
            throw this.#noToken;
          }
        },
        onBroken: (error) => this.#fail(error),
      });
      this.#host = host;
      return host;
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }

  #take(event: CoreEvent): void {
    switch (event.type) {
      case "connected":
        this.isConnected = true;
        this.attempts = 0;
        for (const { resolve } of this.#connecting.splice(0)) resolve();
        for (const listener of this.onConnect) guarded(listener);
        return;
      case "disconnected":
        this.#disconnected(event.message, event.retry_at !== undefined);
        return;
      case "failed":
        this.#fail(this.#noToken ?? new KalamError(event));
        return;
      case "refused":
        this.report(new KalamError(event));
        return;
      case "query":
        return;
      default:
        this.#options.onSubscription(event);
    }
  }

  #disconnected(message: string, isRetrying: boolean): void {
    const wasConnected = this.isConnected;
    this.isConnected = false;
    this.attempts = isRetrying ? this.attempts + 1 : 0;
    if (wasConnected)
      for (const listener of this.onDisconnect)
        guarded(() => listener(message));
    const isHopeless =
      !isRetrying || this.attempts >= this.#options.urls.length;
    if (isHopeless && !wasConnected) {
      const error = new KalamError({
        code: "UNREACHABLE",
        message,
        retryable: true,
      });
      for (const { reject } of this.#connecting.splice(0)) reject(error);
    }
    if (isRetrying && !this.isAutoReconnect)
      queueMicrotask(() => this.#host?.run((link) => link.disconnect()));
  }

  /** Nothing more will come, until `connect`. */
  #fail(error: KalamError): void {
    this.isConnected = false;
    for (const { reject } of this.#connecting.splice(0)) reject(error);
    this.#options.onFailed(error);
    this.report(error);
    if (error.code === "INTERNAL_ERROR") {
      this.#ignore();
      this.#host = undefined;
      this.#starting = undefined;
    }
  }

  report(error: KalamError): void {
    for (const listener of this.onError) guarded(() => listener(error));
  }
}

function toKalamError(cause: unknown): KalamError {
  if (cause instanceof KalamError) return cause;
  return new KalamError({
    code: "INTERNAL_ERROR",
    message: `the client could not start: ${String(cause)}`,
    cause,
  });
}
