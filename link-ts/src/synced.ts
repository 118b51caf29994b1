import type { LiveEdit } from "./live.js";
import type { Row } from "./types.js";

/** What a store of rows by key has to do. */
export interface KeyedChange<T> {
  type: "insert" | "update" | "delete";
  value: T;
}

interface Waiter {
  key: string | number;
  isOver(): boolean;
  resolve(): void;
}

/** Which version of which row has come from the server, and who waits for one. */
export class Synced<T extends Row> {
  readonly #keyOf: (row: T) => string | number;
  readonly #rows = new Map<string | number, T>();
  #waiters: Waiter[] = [];

  constructor(keyOf: (row: T) => string | number) {
    this.#keyOf = keyOf;
  }

  /** Follows edits of an array, and returns what they are by key: each key once. */
  take(edits: readonly LiveEdit<T>[]): KeyedChange<T>[] {
    const touched = new Map<string | number, T | undefined>();
    for (const edit of edits) {
      if (edit.kind === "reset") {
        for (const key of this.#rows.keys()) touched.set(key, undefined);
        for (const row of edit.rows) touched.set(this.#keyOf(row), row);
        continue;
      }
      if (edit.kind !== "insert") touched.set(this.#keyOf(edit.old), undefined);
      if (edit.kind !== "remove") touched.set(this.#keyOf(edit.row), edit.row);
    }
    return [...touched].flatMap(([key, row]) => this.#put(key, row) ?? []);
  }

  #put(key: string | number, row: T | undefined): KeyedChange<T> | undefined {
    const old = this.#rows.get(key);
    if (row === undefined) {
      this.#rows.delete(key);
      this.forgo(key);
      return old && { type: "delete", value: old };
    }
    this.#rows.set(key, row);
    return { type: old ? "update" : "insert", value: row };
  }

  /** Whether a version of the row is there that is not older. */
  has(key: string | number, version: Row): boolean {
    const row = this.#rows.get(key);
    return row !== undefined && seqOf(row) >= seqOf(version);
  }

  /** Resolves when a version that is not older has come, or the row has gone. */
  arrival(
    key: string | number,
    version: Row,
    timeoutMs: number,
  ): Promise<void> {
    return this.#wait(key, timeoutMs, () => this.has(key, version));
  }

  /** Resolves when the row that is there is gone. */
  gone(key: string | number, timeoutMs: number): Promise<void> {
    return this.#wait(key, timeoutMs, () => !this.#rows.has(key));
  }

  /** Nobody need wait for this row. */
  forgo(key: string | number): void {
    for (const waiter of this.#waiters)
      if (waiter.key === key) waiter.resolve();
  }

  /** Lets those go on whose rows have come. */
  wake(): void {
    for (const waiter of this.#waiters) if (waiter.isOver()) waiter.resolve();
  }

  /** Nothing comes any more. */
  clear(): void {
    this.#rows.clear();
    for (const waiter of this.#waiters) waiter.resolve();
  }

  #wait(
    key: string | number,
    timeoutMs: number,
    isOver: () => boolean,
  ): Promise<void> {
    if (isOver()) return Promise.resolve();
    return new Promise((done) => {
      const waiter: Waiter = {
        key,
        isOver,
        resolve: () => {
          clearTimeout(timer);
          this.#waiters = this.#waiters.filter((other) => other !== waiter);
          done();
        },
      };
      const timer = setTimeout(waiter.resolve, timeoutMs);
      this.#waiters.push(waiter);
    });
  }
}

/** Stays below 2^53. */
function seqOf(row: Row): number {
  return Number(row._seq);
}
