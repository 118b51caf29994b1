import type { SubscriptionCoreEvent } from "./core.js";
import { guarded, KalamError } from "./errors.js";
import type { Host } from "./host.js";
import { LiveQuery } from "./live.js";
import type {
  LiveOptions,
  Row,
  SubscribeOptions,
  SubscriptionEvent,
  SubscriptionInfo,
} from "./types.js";
import { RowReader, toParams, type ValueOptions } from "./values.js";

/** What subscriptions need of their client. */
export interface SubscriptionsOwner {
  values: ValueOptions;
  /** Calls now, or as soon as there is a host. */
  withHost(use: (host: Host) => void): void;
  host(): Host | undefined;
}

interface Entry {
  info: SubscriptionInfo;
  take(event: SubscriptionCoreEvent): void;
  fail(error: KalamError): void;
  release(): void;
}

/** The subscriptions of one client, by id. */
export class Subscriptions {
  readonly #owner: SubscriptionsOwner;
  readonly #entries = new Map<string, Entry>();
  #number = 0;

  constructor(owner: SubscriptionsOwner) {
    this.#owner = owner;
  }

  /** Begins one whose events are wanted. */
  async events<T>(
    sql: string,
    callback: (event: SubscriptionEvent<T>) => void,
    options: SubscribeOptions,
  ): Promise<string> {
    options.signal?.throwIfAborted();
    const params = toParams(options.params);
    const reader = new EventReader<T>(this.#owner.values);
    const entry = this.#enter(sql, options.signal, {
      take: (event) => {
        const told = reader.read(event);
        if (told) guarded(() => callback(told));
      },
      fail: (error) => {
        const subscription_id = entry.id;
        guarded(() => callback({ type: "error", subscription_id, error }));
      },
    });
    this.#begin(entry, (host) =>
      host.run((link) =>
        link.subscribe(
          entry.id,
          sql,
          params,
          options.batchSize ?? options.batch_size,
          options.lastRows ?? options.last_rows,
          options.from,
        ),
      ),
    );
    return entry.id;
  }

  /** Begins one whose rows are wanted. */
  live<T>(
    sql: string,
    params: readonly unknown[] | undefined,
    options: LiveOptions,
  ): LiveQuery<T> {
    const cells = toParams(params);
    const entry = this.#enter(sql, options.signal, {
      take: (event) => query.take(event),
      fail: (error) => query.fail(error),
    });
    const query = new LiveQuery<T>(entry.id, sql, {
      values: this.#owner.values,
      close: (id) => this.end(id),
    });
    if (options.signal?.aborted) {
      query.close();
      return query;
    }
    this.#begin(entry, (host) =>
      host.run((link) => link.live(entry.id, sql, cells, options.batchSize)),
    );
    return query;
  }

  end(id: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.release();
    this.#entries.delete(id);
    this.#owner.host()?.run((link) => link.unsubscribe(id));
  }

  list(): SubscriptionInfo[] {
    return [...this.#entries.values()].map(({ info }) => ({ ...info }));
  }

  names(table: string): boolean {
    const wanted = table.toLowerCase();
    const words = /"[^"]+"|[\p{L}_][\p{L}\p{N}_$]*/gu;
    return [...this.#entries.values()].some(({ info }) => {
      const sql = info.sql.toLowerCase();
      const at = sql.search(/\bfrom\b/);
      const name =
        sql
          .slice(at + 4)
          .trim()
          .split(/[\s,;)]/, 1)[0] ?? "";
      return name === wanted || name.match(words)?.join(".") === wanted;
    });
  }

  /** Passes on what the core says. */
  take(event: SubscriptionCoreEvent): void {
    const entry = this.#entries.get(event.id);
    if (!entry) return;
    if (event.type === "change") seen(entry.info, event.seq);
    if (event.type === "initial_data_batch")
      seen(entry.info, event.batch_control.last_seq_id);
    entry.take(event);
    if (event.type === "ended") {
      entry.release();
      this.#entries.delete(event.id);
    }
  }

  /** The client has given up. Subscriptions are kept: they go on if it connects again. */
  fail(error: KalamError): void {
    for (const entry of this.#entries.values()) entry.fail(error);
  }

  #enter(
    sql: string,
    signal: AbortSignal | undefined,
    handlers: Pick<Entry, "take" | "fail">,
  ): Entry & { id: string } {
    this.#number += 1;
    const id = `s${this.#number}`;
    const end = () => this.end(id);
    signal?.addEventListener("abort", end, { once: true });
    const entry = {
      id,
      info: { id, sql, lastSeqId: undefined, createdAt: new Date() },
      release: () => signal?.removeEventListener("abort", end),
      ...handlers,
    };
    this.#entries.set(id, entry);
    return entry;
  }

  #begin(entry: { id: string }, tell: (host: Host) => void): void {
    this.#owner.withHost((host) => {
      // It may have ended before there was a host.
      if (!this.#entries.has(entry.id)) return;
      tell(host);
      host.run((link) => link.connect());
    });
  }
}

function seen(info: SubscriptionInfo, seq: number | undefined): void {
  if (
    seq !== undefined &&
    !(info.lastSeqId !== undefined && info.lastSeqId >= seq)
  )
    info.lastSeqId = seq;
}

/** Turns what the core says into events with values. */
class EventReader<T> {
  readonly #values: ValueOptions;
  #rows: RowReader;

  constructor(values: ValueOptions) {
    this.#values = values;
    this.#rows = new RowReader([], values);
  }

  read(event: SubscriptionCoreEvent): SubscriptionEvent<T> | undefined {
    const { id: subscription_id } = event;
    switch (event.type) {
      case "subscription_ack": {
        const { id: _, ...ack } = event;
        this.#rows = new RowReader(event.schema, this.#values);
        return { ...ack, subscription_id };
      }
      case "initial_data_batch":
        return {
          type: event.type,
          subscription_id,
          rows: this.#convert(event.rows),
          batch_control: event.batch_control,
        };
      case "change": {
        const { id: _, rows, old_values, ...change } = event;
        return {
          ...change,
          subscription_id,
          ...(rows && { rows: this.#convert(rows) }),
          ...(old_values && { old_values: this.#convert(old_values) }),
        };
      }
      case "live":
      case "offline":
        return { type: event.type, subscription_id };
      case "resync":
        return { type: event.type, subscription_id, reason: event.reason };
      case "ended":
        return { type: "error", subscription_id, error: new KalamError(event) };
      case "rows":
        return undefined;
      default:
        event satisfies never;
        return undefined;
    }
  }

  #convert(rows: Row[]): T[] {
    for (const row of rows) this.#rows.convert(row);
    return rows as T[];
  }
}
