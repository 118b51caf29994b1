// A collection of TanStack DB: filled by a live query, written optimistically.
import type {
  BaseCollectionConfig,
  CollectionConfig,
  DeleteMutationFnParams,
  InsertMutationFnParams,
  SyncConfig,
  UpdateMutationFnParams,
} from "@tanstack/db";
import { type KalamClient, KalamError, type Row } from "kalam-link";
import { conditions, insertInto, named, updateSet } from "./statements.js";
import { Synced } from "./synced.js";

/**
 * What a row is known by: the key's value, BIGINT as text; several columns as a JSON array of them.
 *
 * @example
 * ```ts
 * const key: RowKey = JSON.stringify(["lobby", "7"]);
 * ```
 */
export type RowKey = string | number;

/**
 * Settings of a collection; those of TanStack DB besides (`gcTime`, `startSync`, `compare`, …).
 *
 * @example
 * ```ts
 * const config: KalamCollectionConfig<Message> = { client, table: "chat.messages", key: "id" };
 * ```
 */
export interface KalamCollectionConfig<T extends object>
  extends Omit<
    BaseCollectionConfig<T, RowKey>,
    "getKey" | "onInsert" | "onUpdate" | "onDelete" | "schema" | "syncMode"
  > {
  client: KalamClient;
  /** Name of the table, with its namespace. */
  table: string;
  /** Column of the primary key, or its columns in order. */
  key: (keyof T & string) | readonly (keyof T & string)[];
  /** Which rows, as after WHERE; all, if not given. */
  where?: string;
  /** Values of `$1`, `$2`, … in `where`. */
  params?: readonly unknown[];
}

/** How long an optimistic row may wait for the stored one after the server has answered, in ms. */
const ARRIVAL_MAX_MS = 10_000;

/**
 * Options for `createCollection` of TanStack DB: the rows of a table, or those that `where` chooses, kept up to date
 * by one live query. What is inserted, updated or deleted shows at once, and stays until the stored row has arrived;
 * what the server refuses is rolled back.
 *
 * Rows that are inserted or deleted together are one statement, so all of them are stored or none. Rows that are
 * updated together are written one after another.
 *
 * @example
 * ```ts
 * import { createCollection } from "@tanstack/db";
 * import { kalamCollectionOptions } from "kalam-link/tanstack-db";
 *
 * const messages = createCollection(
 *   kalamCollectionOptions<Message>({ client, table: "chat.messages", key: "id", where: "room = $1", params: ["lobby"] }),
 * );
 * messages.insert({ id: 7n, room: "lobby", body: "Mountains or the sea?" });
 * ```
 */
export function kalamCollectionOptions<T extends object>(
  config: KalamCollectionConfig<T>,
): CollectionConfig<T, RowKey> {
  const { client, table, key, where, params, ...others } = config;
  const writer = new Writer<T>(config);
  return {
    ...others,
    getKey: (row) => keyOf(row as Row, [key].flat()),
    sync: { rowUpdateMode: "full", sync: (sync) => follow(sync, writer) },
    onInsert: (change) => writer.insert(change),
    onUpdate: (change) => writer.update(change),
    onDelete: (change) => writer.delete(change),
  };
}

/** Keeps the collection equal to the rows of a live query, until the function that it returns is called. */
function follow<T extends object>(
  sync: Parameters<SyncConfig<T, RowKey>["sync"]>[0],
  writer: Writer<T>,
): () => void {
  const { client, synced } = writer;
  const rows = client.live<T & Row>(writer.select(), writer.params);
  rows.onEdits((edits, status) => {
    const changes = synced.take(edits);
    if (changes.length > 0) {
      sync.begin();
      for (const change of changes) sync.write(change);
      sync.commit();
    }
    synced.wake();
    if (status === "live") sync.markReady();
    if (status === "failed") sync.markError(rows.error);
  });
  return () => {
    rows.close();
    synced.clear();
  };
}

/** Writes what the collection changed, and waits until it comes back. */
class Writer<T extends object> {
  readonly client: KalamClient;
  readonly params: readonly unknown[];
  readonly synced: Synced<T & Row>;
  readonly #table: string;
  readonly #key: readonly string[];
  readonly #where: string | undefined;

  constructor(config: KalamCollectionConfig<T>) {
    this.client = config.client;
    this.params = config.params ?? [];
    this.#table = named(config.table);
    this.#key = [config.key].flat();
    this.#where = config.where;
    this.synced = new Synced((row) => keyOf(row, this.#key));
  }

  select(): string {
    const filter = this.#where === undefined ? "" : ` WHERE ${this.#where}`;
    return `SELECT * FROM ${this.#table}${filter}`;
  }

  async insert({
    transaction,
  }: InsertMutationFnParams<T, RowKey>): Promise<void> {
    const rows = transaction.mutations.map(({ modified }) => given(modified));
    const { sql, params } = insertInto(this.#table, rows);
    const stored = await this.#write(sql, params);
    await Promise.all(stored.map((row) => this.#arrival(row)));
  }

  async update({
    transaction,
  }: UpdateMutationFnParams<T, RowKey>): Promise<void> {
    const arrivals: Promise<void>[] = [];
    for (const { original, changes } of transaction.mutations) {
      const { sql, params } = updateSet(
        this.#table,
        this.#keyValues(original as Row),
        given(changes),
      );
      const stored = await this.#write(`${sql} RETURNING *`, params);
      if (stored.length === 0)
        throw new KalamError({
          code: "NOT_FOUND",
          message: `a row of ${this.#table} that was to be updated is gone`,
        });
      arrivals.push(...stored.map((row) => this.#arrival(row)));
    }
    await Promise.all(arrivals);
  }

  async delete({
    transaction,
  }: DeleteMutationFnParams<T, RowKey>): Promise<void> {
    const params: unknown[] = [];
    const filters = transaction.mutations.map(
      ({ original }) =>
        `(${conditions(this.#keyValues(original as Row), params)})`,
    );
    const gone = transaction.mutations.map(({ original }) =>
      this.synced.gone(keyOf(original as Row, this.#key), ARRIVAL_MAX_MS),
    );
    const sql = `DELETE FROM ${this.#table} WHERE ${filters.join(" OR ")}`;
    await this.client.query(sql, params);
    await Promise.all(gone);
  }

  /** The rows as they are stored, with their `_seq`. */
  async #write(sql: string, params: unknown[]): Promise<Row[]> {
    const answer = await this.client.query(`${sql}, _seq`, params);
    return answer.rows();
  }

  /** Resolves when the live query has this version of the row, or a later one, or will never have it. */
  async #arrival(stored: Row): Promise<void> {
    const key = keyOf(stored, this.#key);
    if (this.synced.has(key, stored)) return;
    const arrived = this.synced.arrival(key, stored, ARRIVAL_MAX_MS);
    if (this.#where !== undefined && !(await this.#isWanted(stored)))
      this.synced.forgo(key);
    await arrived;
  }

  /** Whether `where` takes the row. */
  async #isWanted(stored: Row): Promise<boolean> {
    const params = [...this.params];
    const key = conditions(this.#keyValues(stored), params);
    const sql = `SELECT 1 FROM ${this.#table} WHERE (${this.#where}) AND ${key}`;
    return (await this.client.queryOne(sql, params)) !== undefined;
  }

  #keyValues(row: Row): Row {
    return Object.fromEntries(this.#key.map((name) => [name, row[name]]));
  }
}

/** Columns without a value are left to their defaults. */
function given(row: object): Row {
  return Object.fromEntries(
    Object.entries(row).filter(
      ([name, value]) => value !== undefined && name !== "_seq",
    ),
  );
}

function keyOf(row: Row, columns: readonly string[]): RowKey {
  if (columns.length === 1) {
    const value = row[columns[0] as string];
    return typeof value === "number" ? value : String(value);
  }
  return JSON.stringify(columns.map((name) => String(row[name])));
}
