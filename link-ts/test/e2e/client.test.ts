import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  Auth,
  createClient,
  type KalamClient,
  KalamError,
  type SubscriptionEvent,
} from "../../dist/node.js";
import { TestServer, until } from "../support/server.js";

let server: TestServer;
let client: KalamClient;

beforeAll(async () => {
  server = await TestServer.start();
  client = createClient({
    url: server.url,
    auth: Auth.basic(server.user, server.password),
  });
  await client.query("CREATE NAMESPACE chat");
  await client.query(
    "CREATE TABLE chat.messages (id BIGINT PRIMARY KEY, room TEXT, body TEXT) WITH (TYPE='SHARED')",
  );
});

afterAll(async () => {
  await client.disconnect();
  await server.dispose();
});

interface Message {
  id: bigint;
  room: string;
  body: string | null;
}

describe("queries", () => {
  test("values of every type come back", async () => {
    await client.query(`CREATE TABLE chat.everything (
      id BIGINT PRIMARY KEY, b BOOLEAN, s SMALLINT, i INT, f FLOAT, d DOUBLE, n DECIMAL(20,4), t TEXT,
      ts TIMESTAMP, dt DATETIME, da DATE, ti TIME, j JSON, by BYTES, u UUID, e EMBEDDING(3)
    ) WITH (TYPE='SHARED')`);
    const row = {
      id: 2n ** 63n - 1n,
      b: true,
      s: -32768,
      i: 2147483647,
      f: 0.5,
      d: 0.1 + 0.2,
      n: "1234567890123456.7891",
      t: `emoji 😀, עברית, "quoted", \u0001 ${"x".repeat(1_000_000)}`,
      ts: new Date(1_700_000_000_123),
      dt: new Date(0),
      da: 19_000,
      ti: 3_600_000_000,
      j: '{"a":[1,2]}',
      by: Uint8Array.of(0, 1, 255),
      u: "123e4567-e89b-12d3-a456-426614174000",
      e: [0.5, -1, 2],
    };
    expect(await client.insert("chat.everything", row)).toEqual([row]);
    const nulls = {
      ...Object.fromEntries(Object.keys(row).map((name) => [name, null])),
      id: -(2n ** 63n),
    };
    await client.insert("chat.everything", nulls);
    await client.insert("chat.everything", {
      ...nulls,
      id: 0n,
      d: Number.NaN,
      f: Number.NEGATIVE_INFINITY,
    });
    const rows = (
      await client.query("SELECT * FROM chat.everything ORDER BY id")
    ).rows();
    expect(rows).toEqual([
      nulls,
      { ...nulls, id: 0n, d: Number.NaN, f: Number.NEGATIVE_INFINITY },
      row,
    ]);
    const numbers = createClient({
      url: server.url,
      auth: Auth.basic(server.user, server.password),
      timestamps: "number",
    });
    const sql = "SELECT ts FROM chat.everything WHERE id = $1";
    expect(await numbers.queryOne(sql, [row.id])).toEqual({
      ts: 1_700_000_000_123_000,
    });
  });

  test("rows are inserted, updated and deleted by objects", async () => {
    await client.insert("chat.messages", [
      { id: 101n, room: "crud", body: "one" },
      { id: 102n, room: "crud", body: null },
    ]);
    expect(
      await client.update("chat.messages", { id: 101n }, { body: "ONE" }),
    ).toBe(1);
    expect(
      await client.delete("chat.messages", { room: "crud", body: null }),
    ).toBe(1);
    const rows = (
      await client.query("SELECT * FROM chat.messages WHERE room = $1", [
        "crud",
      ])
    ).rows<Message>();
    expect(rows).toEqual([{ id: 101n, room: "crud", body: "ONE" }]);
    await expect(client.delete("chat.messages", {})).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
    await expect(
      client.insert("chat.messages; --", { id: 1n }),
    ).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  test("errors have code and hint", async () => {
    const failure = await client
      .query("SELECT * FROM chat.mesages")
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(KalamError);
    expect(failure).toMatchObject({
      code: "TABLE_NOT_FOUND",
      status: 404,
      retryable: false,
    });
    expect((failure as KalamError).hint).toContain("chat.messages");
    const stranger = createClient({
      url: server.url,
      auth: Auth.basic("root", "wrong"),
    });
    await expect(stranger.query("SELECT 1")).rejects.toMatchObject({
      code: "INVALID_CREDENTIALS",
    });
    await expect(stranger.connect()).rejects.toMatchObject({
      code: "INVALID_CREDENTIALS",
    });
    const nobody = createClient({ url: server.url });
    await expect(nobody.query("SELECT 1")).rejects.toMatchObject({
      code: "MISSING_AUTHORIZATION",
    });
    const lost = createClient({
      url: "http://127.0.0.1:1",
      auth: Auth.jwt("x"),
    });
    await expect(lost.query("SELECT 1")).rejects.toMatchObject({
      code: "UNREACHABLE",
      retryable: true,
    });
    await expect(lost.connect()).rejects.toMatchObject({ code: "UNREACHABLE" });
    await lost.disconnect();
  });

  test("a signal ends a call", async () => {
    const abort = new AbortController();
    const running = client.query(
      "SELECT count(*) FROM generate_series(1, 2000000000)",
      [],
      { signal: abort.signal },
    );
    abort.abort();
    await expect(running).rejects.toMatchObject({ name: "AbortError" });
    const waiting = createClient({
      url: "http://127.0.0.1:1",
      auth: Auth.jwt("x"),
      // Never opens.
      WebSocket: class {
        close() {}
        send() {}
      } as never,
    });
    const connecting = new AbortController();
    const opening = waiting.connect({ signal: connecting.signal });
    connecting.abort();
    await expect(opening).rejects.toMatchObject({ name: "AbortError" });
    await waiting.disconnect();
    await expect(
      client.query("SELECT 1", [], { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({
      name: "AbortError",
    });
  });

  test("statements run for another user", async () => {
    await client.query(
      "CREATE USER 'al''ice' WITH PASSWORD 'Secret-123!' ROLE 'user'",
    );
    await client.query(
      "CREATE TABLE chat.own (id BIGINT PRIMARY KEY) WITH (TYPE='USER')",
    );
    await client.executeAs("al'ice", "INSERT INTO chat.own VALUES (1)");
    const alice = createClient({
      url: server.url,
      username: "al'ice",
      password: "Secret-123!",
    });
    expect((await alice.query("SELECT id FROM chat.own")).rows()).toEqual([
      { id: 1n },
    ]);
    expect((await client.query("SELECT id FROM chat.own")).rows()).toEqual([]);
  });
});

describe("live queries", () => {
  test("rows follow inserts, updates, deletes, and what enters and leaves the filter", async () => {
    const live = client.live<Message>(
      "SELECT id, room, body FROM chat.messages WHERE room = $1 ORDER BY id",
      ["live"],
    );
    expect(await live.ready()).toEqual([]);
    const shown = () => live.rows.map(({ id, body }) => [id, body]);
    await client.insert("chat.messages", { id: 2n, room: "live", body: "b" });
    await client.insert("chat.messages", { id: 1n, room: "live", body: "a" });
    await until(() => live.rows.length === 2, "two rows");
    expect(shown()).toEqual([
      [1n, "a"],
      [2n, "b"],
    ]);
    const before = live.rows;
    await client.update("chat.messages", { id: 1n }, { body: "A" });
    await until(() => live.rows[0]?.body === "A", "an update");
    expect(before[0]?.body).toBe("a");
    await client.update("chat.messages", { id: 2n }, { room: "elsewhere" });
    await until(() => live.rows.length === 1, "a row that left");
    await client.update("chat.messages", { id: 2n }, { room: "live" });
    await until(() => live.rows.length === 2, "a row that came back");
    await client.delete("chat.messages", { id: 1n });
    await until(() => live.rows.length === 1, "a delete");
    expect(shown()).toEqual([[2n, "b"]]);
    expect(client.getSubscriptionCount()).toBe(1);
    expect(client.isSubscribedTo("chat.messages")).toBe(true);
    live.close();
    expect(client.getSubscriptionCount()).toBe(0);
  });

  test("iteration sees the last state, and ends with the loop", async () => {
    const live = client.live<Message>(
      "SELECT * FROM chat.messages WHERE room = 'loop'",
    );
    const writing = client.insert("chat.messages", {
      id: 301n,
      room: "loop",
      body: "x",
    });
    for await (const rows of live) if (rows.length === 1) break;
    await writing;
    expect(live.isClosed).toBe(true);
  });

  test("a window is kept", async () => {
    const live = client.live<Message>(
      "SELECT id FROM chat.messages WHERE room = 'window' ORDER BY id DESC LIMIT 2",
    );
    await live.ready();
    for (const id of [401n, 402n, 403n])
      await client.insert("chat.messages", { id, room: "window", body: "" });
    await until(() => live.rows[0]?.id === 403n, "the newest row");
    expect(live.rows.map(({ id }) => id)).toEqual([403n, 402n]);
    live.close();
  });

  test("what cannot be kept live fails with the server's code", async () => {
    const live = client.live("SELECT * FROM chat.nothing");
    await expect(live.ready()).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(live.status).toBe("failed");
  });

  test("events are those of the protocol", async () => {
    for (let id = 500n; id < 505n; id += 1n)
      await client.insert("chat.messages", { id, room: "events", body: "" });
    const events: SubscriptionEvent<Message>[] = [];
    const end = await client.subscribeWithSql<Message>(
      "SELECT * FROM chat.messages WHERE room = $1",
      (event) => events.push(event),
      { params: ["events"], batch_size: 2 },
    );
    await until(
      () => events.some(({ type }) => type === "live"),
      "the end of the load",
    );
    const batches = events.filter(
      (event) => event.type === "initial_data_batch",
    );
    expect(batches.flatMap(({ rows }) => rows.map(({ id }) => id))).toEqual([
      500n,
      501n,
      502n,
      503n,
      504n,
    ]);
    expect(events[0]).toMatchObject({
      type: "subscription_ack",
      resumed: false,
    });
    await client.update("chat.messages", { id: 500n }, { body: "changed" });
    await until(() => events.at(-1)?.type === "change", "a change");
    expect(events.at(-1)).toMatchObject({
      change_type: "update",
      rows: [{ id: 500n, body: "changed" }],
      old_values: [{ id: 500n, body: "" }],
    });
    const [info] = client.getSubscriptions();
    expect(client.getLastSeqId(info?.id ?? "")).toBe(
      (events.at(-1) as { seq: number }).seq,
    );
    end();
    expect(client.getSubscriptionCount()).toBe(0);
  });
});

test("rows go on through a restart of the server", async () => {
  const own = await TestServer.start();
  const link = createClient({
    url: own.url,
    auth: Auth.basic(own.user, own.password),
    reconnect: { delayFirstMs: 20, delayMaxMs: 100 },
  });
  await link.query("CREATE NAMESPACE n");
  await link.query(
    "CREATE TABLE n.t (id INT PRIMARY KEY) WITH (TYPE='SHARED')",
  );
  const live = link.live<{ id: number }>("SELECT * FROM n.t");
  await live.ready();
  const statuses = new Set<string>();
  live.onRows((_, status) => statuses.add(status));
  await own.stop("SIGKILL");
  await until(() => live.status === "offline", "offline");
  expect(link.isReconnecting()).toBe(true);
  await own.start();
  await link.insert("n.t", { id: 1 });
  await until(
    () => live.rows.length === 1 && live.status === "live",
    "the row written after the restart",
  );
  expect([...statuses]).toContain("offline");
  expect(link.isConnected()).toBe(true);
  await link.disconnect();
  expect([link.isConnected(), link.isReconnecting()]).toEqual([false, false]);
  await link.connect();
  await link.insert("n.t", { id: 2 });
  await until(() => live.rows.length === 2, "a row after a new connection");
  await link.disconnect();
  await own.dispose();
});
