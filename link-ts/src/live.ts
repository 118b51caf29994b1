import type { Edit, SubscriptionCoreEvent } from "./core.js";
import { abortReason, guarded, KalamError } from "./errors.js";
import type { Field, LiveStatus, Row } from "./types.js";
import { RowReader, type ValueOptions } from "./values.js";

/**
 * What `onRows` is given.
 *
 * @example
 * ```ts
 * const count: RowsListener<Message> = (rows, status) => console.log(status, rows.length);
 * client.live<Message>("SELECT * FROM chat.messages").onRows(count);
 * ```
 */
export type RowsListener<T> = (rows: readonly T[], status: LiveStatus) => void;

/**
 * One step from the rows that a listener had to those of now. Positions are those after the steps before it.
 *
 * @example
 * ```ts
 * function apply(rows: Message[], edit: LiveEdit<Message>): void {
 *   if (edit.kind === "reset") rows.splice(0, rows.length, ...edit.rows);
 *   else if (edit.kind === "insert") rows.splice(edit.index, 0, edit.row);
 *   else if (edit.kind === "replace") rows[edit.index] = edit.row;
 *   else rows.splice(edit.index, 1);
 * }
 * ```
 */
export type LiveEdit<T> =
  | { kind: "reset"; rows: readonly T[] }
  | { kind: "insert"; index: number; row: T }
  | { kind: "replace"; index: number; row: T; old: T }
  | { kind: "remove"; index: number; old: T };

/**
 * What `onEdits` is given.
 *
 * @example
 * ```ts
 * const log: EditsListener<Message> = (edits) => console.log(edits.map(({ kind }) => kind));
 * client.live<Message>("SELECT * FROM chat.messages").onEdits(log);
 * ```
 */
export type EditsListener<T> = (
  edits: readonly LiveEdit<T>[],
  status: LiveStatus,
) => void;

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
  readonly #editors = new Set<EditsListener<T>>();
  /** Not yet told to those who listen to edits. */
  #edits: LiveEdit<T>[] = [];
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

  /**
   * Calls a function with what changes, for those who keep the rows elsewhere: in a list on the screen, in a store.
   * It begins with a `reset` to the rows of now, if there are any yet.
   *
   * @returns a function that ends it
   *
   * @example
   * ```ts
   * const messages = client.live<Message>("SELECT * FROM chat.messages");
   * messages.onEdits((edits) => {
   *   for (const edit of edits) if (edit.kind === "insert") console.log("new", edit.row.body);
   * });
   * ```
   */
  onEdits(listener: EditsListener<T>): () => void {
    // Those who were there before hear the same steps from the rows that they had.
    this.#flush();
    this.#editors.add(listener);
    if (this.#version > 0)
      listener([{ kind: "reset", rows: this.rows }], this.#status);
    return () => {
      this.#editors.delete(listener);
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
    if (this.#editors.size > 0)
      this.#edits = [{ kind: "reset", rows: this.#rows.slice() }];
  }

  #edit(edit: Edit): void {
    const step = this.#apply(edit);
    if (this.#editors.size > 0) this.#edits.push(step);
  }

  #apply([kind, index, given]: Edit): LiveEdit<T> {
    const rows = this.#rows;
    const old = rows[index] as T;
    if (given === undefined) {
      rows.splice(index, 1);
      return { kind: "remove", index, old };
    }
    const row = this.#convert(given);
    if (kind === 2) {
      rows[index] = row;
      return { kind: "replace", index, row, old };
    }
    if (index === rows.length) rows.push(row);
    else rows.splice(index, 0, row);
    return { kind: "insert", index, row };
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
      if (!this.#isClosed) {
        this.#flush();
        for (const listener of this.#listeners)
          guarded(() => listener(this.rows, this.#status));
      }
      this.#wake();
    });
  }

  #flush(): void {
    const edits = this.#edits;
    this.#edits = [];
    for (const listener of this.#editors)
      guarded(() => listener(edits, this.#status));
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
