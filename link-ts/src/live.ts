import type { SubscriptionCoreEvent } from "./core.js";
import { abortReason, KalamError } from "./errors.js";
import type { Field, LiveStatus, Row } from "./types.js";
import { RowReader, type ValueOptions } from "./values.js";

/** What `onRows` is given. */
export type RowsListener<T> = (rows: readonly T[], status: LiveStatus) => void;

/** What a live query needs of its client. */
export interface LiveOwner {
  close(id: string): void;
  values: ValueOptions;
}

/**
 * The current rows of a query, kept up to date until it is closed.
 *
 * @example
 * ```ts
 * await using messages = client.live<Message>("SELECT * FROM chat.messages ORDER BY id");
 * for await (const rows of messages) console.log(rows.length, messages.status);
 * ```
 */
export class LiveQuery<T = Row> implements AsyncIterable<readonly T[]> {
  /** Its name among the subscriptions of the client. */
  readonly id: string;
  /** Its text. */
  readonly sql: string;
  readonly #owner: LiveOwner;
  readonly #listeners = new Set<RowsListener<T>>();
  #reader: RowReader | undefined;
  #rows: T[] = [];
  /** What was handed out last; void after an edit. */
  #snapshot: readonly T[] | undefined;
  #status: LiveStatus = "loading";
  #error: KalamError | undefined;
  #isClosed = false;
  /** Rises with every change; who iterates remembers which one was seen. */
  #version = 0;
  #wakers: (() => void)[] = [];
  #isTelling = false;

  /** @internal */
  constructor(id: string, sql: string, owner: LiveOwner) {
    this.id = id;
    this.sql = sql;
    this.#owner = owner;
  }

  /** The rows as they are now: a new array after each change, in the order of ORDER BY or else of the key. */
  get rows(): readonly T[] {
    this.#snapshot ??= this.#rows.slice();
    return this.#snapshot;
  }

  /** `live` once the rows are complete; `catching_up` and `offline` mean complete up to a moment in the past. */
  get status(): LiveStatus {
    return this.#status;
  }

  /** Why the status is `failed`. */
  get error(): KalamError | undefined {
    return this.#error;
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Calls a function with the rows now, if there are any yet, and after each change. Changes that come together are
   * told together.
   *
   * @returns a function that ends it
   */
  onRows(listener: RowsListener<T>): () => void {
    this.#listeners.add(listener);
    if (this.#version > 0) listener(this.rows, this.#status);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Resolves when the rows are complete for the first time; rejects if they never will be. */
  async ready(signal?: AbortSignal): Promise<readonly T[]> {
    while (this.#status !== "live") {
      if (this.#error) throw this.#error;
      if (this.#isClosed) throw closed();
      await this.#changed(signal);
    }
    return this.rows;
  }

  /** Ends the query. The rows stay readable. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#owner.close(this.id);
    this.#wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** Each state of the rows from `live` on; states that pass while nobody waits are skipped. */
  async *[Symbol.asyncIterator](): AsyncIterator<readonly T[], void, void> {
    let seen = 0;
    try {
      while (!this.#isClosed) {
        if (this.#error) throw this.#error;
        if (seen === this.#version || this.#status === "loading") {
          await this.#changed();
          continue;
        }
        seen = this.#version;
        yield this.rows;
      }
    } finally {
      this.close();
    }
  }

  /** @internal What the core says about it. */
  take(event: SubscriptionCoreEvent): void {
    switch (event.type) {
      case "subscription_ack":
        this.#reader = new RowReader(event.schema, this.#owner.values);
        return;
      case "rows":
        if (event.reset) this.#reset(event.reset);
        for (const edit of event.edits ?? []) this.#edit(edit);
        this.#status = event.status;
        break;
      case "ended":
        this.#status = "failed";
        this.#error = new KalamError(event);
        break;
      default:
        return;
    }
    this.#snapshot = undefined;
    this.#version += 1;
    this.#tell();
  }

  /** @internal The client is gone. */
  fail(error: KalamError): void {
    this.#error ??= error;
    this.#status = "failed";
    this.#version += 1;
    this.#tell();
  }

  #reset(rows: Row[]): void {
    this.#rows = rows.map((row) => this.#convert(row));
  }

  #edit([kind, index, row]: [number, number, Row?]): void {
    if (row === undefined) this.#rows.splice(index, 1);
    else if (kind === 2) this.#rows[index] = this.#convert(row);
    else if (index === this.#rows.length) this.#rows.push(this.#convert(row));
    else this.#rows.splice(index, 0, this.#convert(row));
  }

  #convert(row: Row): T {
    return this.#reader ? this.#reader.convert<T>(row) : (row as T);
  }

  /** Once for all changes of one turn of the event loop. */
  #tell(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      if (!this.#isClosed)
        for (const listener of this.#listeners)
          listener(this.rows, this.#status);
      this.#wake();
    });
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }

  #changed(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal));
        return;
      }
      const abort = () => signal && reject(abortReason(signal));
      signal?.addEventListener("abort", abort, { once: true });
      this.#wakers.push(() => {
        signal?.removeEventListener("abort", abort);
        resolve();
      });
    });
  }
}

function closed(): KalamError {
  return new KalamError({
    code: "DISCONNECTED",
    message: "the live query was closed",
  });
}

/** A schema for those who read fields. */
export type { Field };
