// The core as it comes out of Rust: loading it once, and the events that it tells.
import {
  initSync,
  Link,
  refreshAt,
  websocketUrl,
} from "../wasm/kalam_link_wasm.js";
import type { Envelope } from "./http.js";
import type { BatchControl, Field, LiveStatus, Row } from "./types.js";

export { Link, refreshAt, websocketUrl };

/** How a platform gets the module. */
export type LoadModule = () => Promise<WebAssembly.Module>;

let loading: Promise<void> | undefined;

/** Makes {@link Link} usable. All clients of a program share one module. */
export function loadCore(load: LoadModule): Promise<void> {
  loading ??= load().then(
    (module) => {
      initSync({ module });
    },
    (error) => {
      loading = undefined;
      throw error;
    },
  );
  return loading;
}

/** An edit of an array of rows: remove, insert before, replace. */
export type Edit = [0, number] | [1, number, Row] | [2, number, Row];

/** What the core tells; written by `link-wasm/src/events.rs`. */
export type CoreEvent =
  | { type: "connected"; user: string; role: string }
  | { type: "disconnected"; message: string; retry_at?: number }
  | { type: "failed"; code: string; message: string }
  | { type: "refused"; code: string; message: string }
  | {
      type: "query";
      query: number;
      response?: Envelope;
      code?: string;
      message?: string;
    }
  | SubscriptionCoreEvent;

export type SubscriptionCoreEvent = { id: string } & (
  | {
      type: "subscription_ack";
      resumed: boolean;
      schema: Field[];
      total_rows: number;
      batch_control: BatchControl;
    }
  | { type: "initial_data_batch"; rows: Row[]; batch_control: BatchControl }
  | {
      type: "change";
      change_type: "insert" | "update" | "delete";
      rows?: Row[];
      old_values?: Row[];
      seq?: number;
      reason?: string;
    }
  | { type: "live" }
  | { type: "offline" }
  | { type: "resync"; reason: string }
  | { type: "ended"; code: string; message: string; retryable: boolean }
  | { type: "rows"; status: LiveStatus; edits?: Edit[]; reset?: Row[] }
);
