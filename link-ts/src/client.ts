import { type AuthKind, type AuthProvider, TokenSource } from "./auth.js";
import { Connection } from "./connection.js";
import { loadCore, refreshAt } from "./core.js";
import type { KalamError } from "./errors.js";
import type { SocketConstructor } from "./host.js";
import { Http } from "./http.js";
import type { LiveQuery } from "./live.js";
import type { Platform } from "./platform.js";
import { runQuery } from "./query.js";
import { deleteFrom, insertInto, updateSet } from "./statements.js";
import { Subscriptions } from "./subscriptions.js";
import type {
  LiveOptions,
  QueryAnswer,
  QueryOptions,
  ReconnectOptions,
  Row,
  SubscribeOptions,
  SubscriptionEvent,
  SubscriptionInfo,
} from "./types.js";
import { RowReader, type ValueOptions } from "./values.js";

/**
 * Settings of a client.
 *
 * @example
 * ```ts
 * const options: ClientOptions = {
 *   url: ["https://one.example.com", "https://two.example.com"],
 *   auth: Auth.basic("alice", "Secret123!"),
 *   namespace: "chat",
 * };
 * createClient(options);
 * ```
 */
export interface ClientOptions {
  /** Address of the server, `http://host:8080`; several are tried in turn. */
  url: string | string[];
  auth?: AuthKind | AuthProvider;
  /** The older form of `Auth.basic`. */
  username?: string;
  password?: string;
  /** Namespace of names without one, in queries. */
  namespace?: string;
  /** TIMESTAMP and DATETIME as `Date`, or as the number of microseconds since 1970 (`date`). */
  timestamps?: ValueOptions["timestamps"];
  reconnect?: ReconnectOptions;
  /** Instead of the platform's own. */
  fetch?: typeof fetch;
  /** Instead of the platform's own. */
  WebSocket?: SocketConstructor;
}

/**
 * A client of one server: queries over HTTP, everything live over one socket. Made by `createClient`.
 *
 * @example
 * ```ts
 * async function latest(client: KalamClient): Promise<Message | undefined> {
 *   return client.queryOne<Message>("SELECT * FROM chat.messages ORDER BY id DESC LIMIT 1");
 * }
 * ```
 */
export class KalamClient {
  readonly #platform: Platform;
  readonly #options: ClientOptions;
  readonly #values: ValueOptions;
  readonly #http: Http;
  readonly #tokens: TokenSource;
  readonly #subscriptions: Subscriptions;
  readonly #connection: Connection;

  /** @internal */
  constructor(options: ClientOptions, platform: Platform) {
    this.#platform = platform;
    this.#options = options;
    const urls = [options.url].flat();
    this.#values = { timestamps: options.timestamps ?? "date" };
    this.#http = new Http(urls, options.fetch ?? globalThis.fetch);
    this.#tokens = new TokenSource(this.#http, authOf(options), refreshAt);
    this.#connection = new Connection({
      urls,
      reconnect: options.reconnect ?? {},
      platform,
      tokens: this.#tokens,
      socket: options.WebSocket,
      onSubscription: (event) => this.#subscriptions.take(event),
      onFailed: (error) => this.#subscriptions.fail(error),
    });
    this.#subscriptions = new Subscriptions({
      values: this.#values,
      withHost: (use) => this.#connection.withHost(use),
      host: () => this.#connection.host,
    });
  }

  /**
   * Opens the socket. Not needed: what is live opens it. Rejects when every server was tried in vain, while the client
   * goes on trying; an aborted `signal` ends the waiting alone.
   */
  async connect(options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#connection.connect(options.signal);
  }

  /** Closes the socket and stays away until `connect`. Subscriptions are kept, and go on after that. */
  async disconnect(): Promise<void> {
    return this.#connection.disconnect();
  }

  /** Whether the socket is open and signed in. */
  isConnected(): boolean {
    return this.#connection.isConnected;
  }

  /**
   * Runs one or several statements over HTTP.
   *
   * @example
   * ```ts
   * const { rows } = await client.query("SELECT * FROM chat.messages WHERE id = $1", [7n]);
   * ```
   */
  async query(
    sql: string,
    params?: readonly unknown[],
    options: QueryOptions = {},
  ): Promise<QueryAnswer> {
    await loadCore(this.#platform.loadModule);
    const namespace = options.namespace ?? this.#options.namespace;
    const request =
      namespace === undefined ? options : { ...options, namespace };
    const envelope = await runQuery(
      this.#http,
      this.#tokens,
      sql,
      params,
      request,
    );
    const { results, took } = envelope;
    return {
      results,
      took,
      rows: <T = Row>(statement = results.length - 1): T[] => {
        const { schema = [], rows = [] } = results[statement] ?? {};
        const reader = new RowReader(schema, this.#values);
        return rows.map((cells) => reader.object<T>(cells));
      },
    };
  }

  /** The first row of a query, if there is one. */
  async queryOne<T = Row>(
    sql: string,
    params?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<T | undefined> {
    return (await this.query(sql, params, options)).rows<T>()[0];
  }

  /** Inserts rows, given as objects, and returns them as they are stored. */
  async insert<T = Row>(
    table: string,
    rows: Row | readonly Row[],
    options?: QueryOptions,
  ): Promise<T[]> {
    const { sql, params } = insertInto(table, [rows].flat() as Row[]);
    return (await this.query(sql, params, options)).rows<T>();
  }

  /** Sets columns of the rows that have these values, and returns how many there were. */
  async update(
    table: string,
    where: Row,
    set: Row,
    options?: QueryOptions,
  ): Promise<number> {
    const { sql, params } = updateSet(table, where, set);
    return count(await this.query(sql, params, options));
  }

  /** Deletes the rows that have these values, and returns how many there were. */
  async delete(
    table: string,
    where: Row,
    options?: QueryOptions,
  ): Promise<number> {
    const { sql, params } = deleteFrom(table, where);
    return count(await this.query(sql, params, options));
  }

  /** Runs statements on the rows of another user, for those who may. */
  async executeAs(
    user: string,
    sql: string,
    options?: QueryOptions,
  ): Promise<QueryAnswer> {
    const name = user.replaceAll("'", "''");
    return this.query(`EXECUTE AS USER '${name}' (${sql})`, undefined, options);
  }

  /** Follows a table. Returns a function that ends it. */
  async subscribe<T = Row>(
    table: string,
    callback: (event: SubscriptionEvent<T>) => void,
    options: SubscribeOptions = {},
  ): Promise<() => void> {
    return this.subscribeWithSql(`SELECT * FROM ${table}`, callback, options);
  }

  /** Follows a query, event by event. Returns a function that ends it. */
  async subscribeWithSql<T = Row>(
    sql: string,
    callback: (event: SubscriptionEvent<T>) => void,
    options: SubscribeOptions = {},
  ): Promise<() => void> {
    const id = await this.#subscriptions.events(sql, callback, options);
    return () => this.#subscriptions.end(id);
  }

  /**
   * Follows a query, as the rows that it has.
   *
   * @example
   * ```ts
   * const messages = client.live<Message>("SELECT * FROM chat.messages WHERE room = $1 ORDER BY id", ["lobby"]);
   * messages.onRows((rows) => render(rows));
   * ```
   */
  live<T = Row>(
    sql: string,
    params?: readonly unknown[],
    options: LiveOptions = {},
  ): LiveQuery<T> {
    return this.#subscriptions.live<T>(sql, params, options);
  }

  /** How many subscriptions and live queries there are. */
  getSubscriptionCount(): number {
    return this.#subscriptions.list().length;
  }

  /** Subscriptions and live queries, the oldest first. */
  getSubscriptions(): SubscriptionInfo[] {
    return this.#subscriptions.list();
  }

  /** Whether there is a subscription of that table, or of a query that names it. */
  isSubscribedTo(table: string): boolean {
    return this.#subscriptions.names(table);
  }

  /** The last seq that a subscription received. */
  getLastSeqId(id: string): number | undefined {
    return this.#subscriptions.list().find((one) => one.id === id)?.lastSeqId;
  }

  /** Ends one, by its id among `getSubscriptions`. */
  unsubscribe(id: string): void {
    this.#subscriptions.end(id);
  }

  /** Ends all of them. */
  unsubscribeAll(): void {
    for (const { id } of this.#subscriptions.list())
      this.#subscriptions.end(id);
  }

  /** Whether a lost connection is sought again (yes). */
  setAutoReconnect(on: boolean): void {
    this.#connection.isAutoReconnect = on;
  }

  /** Bounds of the delays between tries, in ms. Takes effect with the next failure. */
  setReconnectDelay(firstMs: number, maxMs?: number): void {
    this.#connection.setDelay(firstMs, maxMs);
  }

  /** Failures in a row before the client gives up; 0: without end. */
  setMaxReconnectAttempts(attempts: number): void {
    this.#connection.setAttemptsMax(attempts);
  }

  /** Tries since the connection was last open. */
  getReconnectAttempts(): number {
    return this.#connection.attempts;
  }

  /** Whether a lost connection is being sought. */
  isReconnecting(): boolean {
    return this.#connection.attempts > 0 && !this.#connection.isConnected;
  }

  /** Calls a function whenever the socket is open and signed in. Returns one that ends it. */
  onConnect(listener: () => void): () => void {
    return listen(this.#connection.onConnect, listener);
  }

  /** Calls a function, with the reason, whenever the socket is lost. Returns one that ends it. */
  onDisconnect(listener: (message: string) => void): () => void {
    return listen(this.#connection.onDisconnect, listener);
  }

  /** Calls a function with what went wrong outside of any call. Returns one that ends it. */
  onError(listener: (error: KalamError) => void): () => void {
    return listen(this.#connection.onError, listener);
  }
}

function authOf(options: ClientOptions): AuthKind | AuthProvider {
  if (options.auth) return options.auth;
  const { username, password } = options;
  return username === undefined
    ? { kind: "none" }
    : { kind: "basic", user: username, password: password ?? "" };
}

function listen<F>(listeners: Set<F>, listener: F): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

function count(answer: QueryAnswer): number {
  return answer.results.at(-1)?.row_count ?? 0;
}
