import type { KalamError } from "./errors.js";

/**
 * Type of a column, as the wire names it.
 *
 * @example
 * ```ts
 * const isBig = (type: DataType) => type === "BigInt";
 * ```
 */
export type DataType =
  | "Boolean"
  | "SmallInt"
  | "Int"
  | "BigInt"
  | "Float"
  | "Double"
  | "Text"
  | "Timestamp"
  | "DateTime"
  | "Date"
  | "Time"
  | "Json"
  | "Bytes"
  | "Uuid"
  | { Decimal: { precision: number; scale: number } }
  | { Embedding: number };

/**
 * One column of a result.
 *
 * @example
 * ```ts
 * const { results } = await client.query("SELECT id, body FROM chat.messages");
 * const names = results[0]?.schema?.map((field: Field) => field.name);
 * ```
 */
export interface Field {
  name: string;
  data_type: DataType;
  /** Position in a row, from 0. */
  index: number;
  /** `pk` primary key, `nn` not null, `uq` unique. */
  flags?: ("pk" | "nn" | "uq")[];
}

/**
 * A row: values by column name. Rows of live queries have the text `_seq` besides, which tells versions apart.
 *
 * @example
 * ```ts
 * const row: Row | undefined = await client.queryOne("SELECT * FROM chat.messages");
 * console.log(row?.body);
 * ```
 */
export type Row = Record<string, unknown>;

/**
 * What one statement gave.
 *
 * @example
 * ```ts
 * const { results } = await client.query("DELETE FROM chat.messages WHERE id = $1", [7n]);
 * const deleted: StatementResult | undefined = results[0];
 * console.log(deleted?.row_count);
 * ```
 */
export interface StatementResult {
  schema?: Field[];
  /** Cells as they stand on the wire, in the order of `schema`; `rows()` of the whole gives objects. */
  rows?: unknown[][];
  /** Rows in `rows`, or rows that a write touched. */
  row_count: number;
  message?: string;
  /** Whose rows the statement worked on. */
  as_user: string;
}

/**
 * The answer to {@link KalamClient.query}.
 *
 * @example
 * ```ts
 * const answer = await client.query("SELECT id, body FROM chat.messages");
 * for (const { id, body } of answer.rows<{ id: bigint; body: string }>()) console.log(id, body);
 * ```
 */
export interface QueryAnswer {
  /** One per statement, in order. */
  results: StatementResult[];
  /** Milliseconds that the server took. */
  took: number;
  /** The rows of a result as objects; of the last statement, unless its index is given. */
  rows<T = Row>(statement?: number): T[];
}

/**
 * What a query may be told besides its parameters.
 *
 * @example
 * ```ts
 * const options: QueryOptions = { namespace: "chat", signal: AbortSignal.timeout(5_000) };
 * await client.query("SELECT * FROM messages", [], options);
 * ```
 */
export interface QueryOptions {
  signal?: AbortSignal;
  /** Namespace of names without one. */
  namespace?: string;
  /** Makes a write repeatable: a repeated one with the same id returns the first answer. */
  requestId?: string;
}

/**
 * Which rows a subscription begins with.
 *
 * @example
 * ```ts
 * const options: SubscribeOptions = { lastRows: 50 };
 * await client.subscribe("chat.messages", (event) => console.log(event.type), options);
 * ```
 */
export interface SubscribeOptions {
  /** Values of `$1`, `$2`, … */
  params?: readonly unknown[];
  /** Rows a batch. */
  batchSize?: number;
  /** Only the newest rows; 0 for none. */
  lastRows?: number;
  /** Only what changed after this seq. */
  from?: number;
  batch_size?: number;
  last_rows?: number;
  signal?: AbortSignal;
}

/**
 * How far a load has come.
 *
 * @example
 * ```ts
 * await client.subscribe("chat.messages", (event) => {
 *   if (event.type !== "initial_data_batch") return;
 *   const { batch_num, has_more }: BatchControl = event.batch_control;
 *   console.log(batch_num, has_more);
 * });
 * ```
 */
export interface BatchControl {
  batch_num: number;
  has_more: boolean;
  last_seq_id?: number;
}

/**
 * What a subscription's callback is given.
 *
 * @example
 * ```ts
 * function print(event: SubscriptionEvent<Message>): void {
 *   if (event.type === "change") console.log(event.change_type, event.rows);
 * }
 * await client.subscribe("chat.messages", print);
 * ```
 */
export type SubscriptionEvent<T = Row> =
  | {
      type: "subscription_ack";
      subscription_id: string;
      schema: Field[];
      /** The rows received before stand; what changed since follows. */
      resumed: boolean;
      total_rows: number;
      batch_control: BatchControl;
    }
  | {
      type: "initial_data_batch";
      subscription_id: string;
      rows: T[];
      batch_control: BatchControl;
    }
  | {
      type: "change";
      subscription_id: string;
      change_type: "insert" | "update" | "delete";
      rows?: T[];
      old_values?: Partial<T>[];
      seq?: number;
      /** Why the type is another than the statement's: the row entered or left the filter or the window. */
      reason?: string;
    }
  /** Everything received so far is void once the load that follows is complete. */
  | { type: "resync"; subscription_id: string; reason: string }
  /** The load is complete; changes follow. */
  | { type: "live"; subscription_id: string }
  /** The connection is gone; what was received stands, and the subscription goes on by itself. */
  | { type: "offline"; subscription_id: string }
  /** The subscription is over. */
  | { type: "error"; subscription_id: string; error: KalamError };

/**
 * A subscription of a client.
 *
 * @example
 * ```ts
 * client.getSubscriptions().forEach(({ id, sql }: SubscriptionInfo) => console.log(id, sql));
 * ```
 */
export interface SubscriptionInfo {
  id: string;
  sql: string;
  /** The last seq that was received. */
  lastSeqId: number | undefined;
  createdAt: Date;
}

/**
 * How far the rows of a live query are to be trusted: `loading` before they are complete for the first time, `live`,
 * `catching_up` and `offline` while they are those of a moment in the past, `failed` when nothing more will come.
 *
 * @example
 * ```ts
 * const isStale = (status: LiveStatus) => status === "offline" || status === "catching_up";
 * ```
 */
export type LiveStatus =
  | "loading"
  | "live"
  | "catching_up"
  | "offline"
  | "failed";

/**
 * What `live` may be told besides its parameters.
 *
 * @example
 * ```ts
 * const page = new AbortController();
 * const options: LiveOptions = { signal: page.signal };
 * client.live("SELECT * FROM chat.messages", [], options);
 * ```
 */
export interface LiveOptions {
  /** Rows a batch of the load. */
  batchSize?: number;
  signal?: AbortSignal;
}

/**
 * How a lost connection is sought again: each delay is drawn between 0 and a bound that doubles up to a maximum.
 *
 * @example
 * ```ts
 * const reconnect: ReconnectOptions = { delayFirstMs: 100, delayMaxMs: 5_000 };
 * createClient({ url: "http://localhost:8080", reconnect });
 * ```
 */
export interface ReconnectOptions {
  /** Bound of the first delay, in ms (500). */
  delayFirstMs?: number;
  /** Largest bound, in ms (30,000). */
  delayMaxMs?: number;
  /** Failures in a row before the client gives up; without end if not given. */
  attemptsMax?: number;
}

/**
 * The part of the standard's `WebSocket` that the client needs.
 *
 * @example
 * ```ts
 * const isOpen = (socket: SocketLike & { readyState: number }) => socket.readyState === 1;
 * ```
 */
export interface SocketLike {
  onopen: ((event: never) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}
