// Collections of TanStack DB against a real server.
import {
  type Collection,
  createCollection,
  createLiveQueryCollection,
  eq,
} from "@tanstack/db";
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
} from "vitest";
import { Auth, createClient, type KalamClient } from "../../dist/node.js";
import {
  type KalamCollectionConfig,
  kalamCollectionOptions,
  type RowKey,
} from "../../dist/tanstack-db.js";
import { TestServer, until } from "../support/server.js";

interface Message {
  id: bigint;
  room: string;
  body: string | null;
}

type Messages = Collection<Message, RowKey>;

let server: TestServer;
let here: KalamClient;
let elsewhere: KalamClient;
let table = "";
let tables = 0;

function client(): KalamClient {
  return createClient({
    url: server.url,
    auth: Auth.basic(server.user, server.password),
    reconnect: { delayFirstMs: 20, delayMaxMs: 100 },
  });
}

beforeAll(async () => {
  server = await TestServer.start();
  [here, elsewhere] = [client(), client()];
  await here.query("CREATE NAMESPACE tdb");
});

afterAll(async () => {
  await here.disconnect();
  await elsewhere.disconnect();
  await server.dispose();
});

beforeEach(async () => {
  tables += 1;
  table = `tdb.messages_${tables}`;
  await elsewhere.query(
    `CREATE TABLE ${table} (id BIGINT PRIMARY KEY, room TEXT NOT NULL, body TEXT DEFAULT 'empty') WITH (TYPE='SHARED')`,
  );
  await add(1n, "lobby", "one");
  await add(2n, "lobby", "two");
  await add(3n, "attic", "three");
});

const add = (id: bigint, room: string, body: string) =>
  elsewhere.insert(table, { id, room, body });

/** A collection whose first rows are there. */
async function follow(
  config: Partial<KalamCollectionConfig<Message>> = {},
): Promise<Messages> {
  const messages = createCollection(
    kalamCollectionOptions<Message>({
      client: here,
      table,
      key: "id",
      startSync: true,
      ...config,
    }),
  );
  await messages.preload();
  return messages;
}

const bodies = (messages: Messages) =>
  Object.fromEntries(messages.toArray.map(({ id, body }) => [id, body]));

const shows = (messages: Messages, wanted: Record<string, string | null>) =>
  until(
    () =>
      JSON.stringify(bodies(messages)) ===
      JSON.stringify(Object.fromEntries(Object.entries(wanted))),
    `${JSON.stringify(wanted)}, but ${JSON.stringify(bodies(messages))}`,
  );

describe("what comes from the server", () => {
  test("the initial rows are there once it is ready", async () => {
    const messages = await follow();
    expect(messages.status).toBe("ready");
    expect(bodies(messages)).toEqual({ 1: "one", 2: "two", 3: "three" });
    expect(messages.get("2")).toMatchObject({ id: 2n, body: "two" });
  });

  test("an insert elsewhere appears", async () => {
    const messages = await follow();
    await add(4n, "lobby", "four");
    await shows(messages, { 1: "one", 2: "two", 3: "three", 4: "four" });
  });

  test("an update elsewhere replaces the row", async () => {
    const messages = await follow();
    await elsewhere.update(table, { id: 2n }, { body: "TWO" });
    await shows(messages, { 1: "one", 2: "TWO", 3: "three" });
  });

  test("a delete elsewhere takes the row away", async () => {
    const messages = await follow();
    await elsewhere.delete(table, { id: 2n });
    await shows(messages, { 1: "one", 3: "three" });
  });

  test("rows leave and enter the filter", async () => {
    const messages = await follow({ where: "room = $1", params: ["lobby"] });
    expect(bodies(messages)).toEqual({ 1: "one", 2: "two" });
    await elsewhere.update(table, { id: 2n }, { room: "attic" });
    await shows(messages, { 1: "one" });
    await elsewhere.update(table, { id: 3n }, { room: "lobby" });
    await shows(messages, { 1: "one", 3: "three" });
  });

  test("a table that is not there fails, and says why", async () => {
    const messages = createCollection(
      kalamCollectionOptions<Message>({
        client: here,
        table: "tdb.nothing",
        key: "id",
      }),
    );
    await expect(messages.preload()).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    expect(messages.status).toBe("error");
  });
});

describe("what is written", () => {
  test("an insert shows at once, and is the stored row when it is confirmed", async () => {
    const messages = await follow();
    const shown: (string | null | undefined)[] = [];
    messages.subscribeChanges(() => shown.push(messages.get("5")?.body));
    const written = messages.insert({ id: 5n, room: "lobby" } as Message);
    expect(messages.has("5")).toBe(true);
    await written.isPersisted.promise;
    expect(messages.get("5")).toMatchObject({ room: "lobby", body: "empty" });
    // It never went away in between.
    expect(new Set(shown)).toEqual(new Set([undefined, "empty"]));
    expect(messages.size).toBe(4);
    const stored = await elsewhere.queryOne(
      `SELECT body FROM ${table} WHERE id = 5`,
    );
    expect(stored).toEqual({ body: "empty" });
  });

  test("an insert that the server refuses is rolled back", async () => {
    const messages = await follow();
    await add(6n, "cellar", "theirs");
    await shows(messages, { 1: "one", 2: "two", 3: "three", 6: "theirs" });
    const lobby = await follow({ where: "room = 'lobby'" });
    const written = lobby.insert({ id: 6n, room: "lobby", body: "mine" });
    expect(bodies(lobby)).toEqual({ 1: "one", 2: "two", 6: "mine" });
    await expect(written.isPersisted.promise).rejects.toMatchObject({
      code: "CONSTRAINT_VIOLATION",
    });
    expect(bodies(lobby)).toEqual({ 1: "one", 2: "two" });
  });

  test("rows that are inserted together are stored together or not at all", async () => {
    const messages = await follow({ where: "room = 'lobby'" });
    const rows = [7n, 3n].map((id) => ({ id, room: "lobby", body: "" }));
    await expect(
      messages.insert(rows).isPersisted.promise,
    ).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATION" });
    expect(bodies(messages)).toEqual({ 1: "one", 2: "two" });
    expect(
      await elsewhere.queryOne(`SELECT 1 FROM ${table} WHERE id = 7`),
    ).toBeUndefined();
  });

  test("an update shows at once and is confirmed", async () => {
    const messages = await follow();
    const written = messages.update(["1", "2"], (drafts) => {
      for (const draft of drafts) draft.body = `${draft.body}!`;
    });
    expect(bodies(messages)).toEqual({ 1: "one!", 2: "two!", 3: "three" });
    await written.isPersisted.promise;
    expect(bodies(messages)).toEqual({ 1: "one!", 2: "two!", 3: "three" });
    await shows(await follow({ client: elsewhere }), bodies(messages));
  });

  test("an update that the server refuses is rolled back", async () => {
    const messages = await follow();
    const written = messages.update("1", (draft) => {
      draft.room = null as unknown as string;
    });
    await expect(written.isPersisted.promise).rejects.toMatchObject({
      code: "CONSTRAINT_VIOLATION",
    });
    expect(messages.get("1")).toMatchObject({ room: "lobby" });
  });

  test("an update that moves a row out of the filter takes it away", async () => {
    const messages = await follow({ where: "room = $1", params: ["lobby"] });
    const moved = messages.update("2", (draft) => {
      draft.room = "attic";
    });
    await moved.isPersisted.promise;
    await shows(messages, { 1: "one" });
  });

  test("an insert that the filter leaves out does not stay", async () => {
    const messages = await follow({ where: "room = $1", params: ["lobby"] });
    await messages.insert({ id: 8n, room: "attic", body: "" }).isPersisted
      .promise;
    expect(bodies(messages)).toEqual({ 1: "one", 2: "two" });
  });

  test("a delete shows at once and is confirmed", async () => {
    const messages = await follow();
    const written = messages.delete(["1", "3"]);
    expect(bodies(messages)).toEqual({ 2: "two" });
    await written.isPersisted.promise;
    expect(bodies(messages)).toEqual({ 2: "two" });
    expect((await elsewhere.query(`SELECT id FROM ${table}`)).rows()).toEqual([
      { id: 2n },
    ]);
  });
});

describe("through time", () => {
  test("it goes on after a restart of the server, with what changed meanwhile", async () => {
    const messages = await follow();
    await here.disconnect();
    await elsewhere.delete(table, { id: 1n });
    await server.stop("SIGKILL");
    await server.start();
    await add(9n, "lobby", "nine");
    expect(bodies(messages)).toEqual({ 1: "one", 2: "two", 3: "three" });
    await here.connect();
    await shows(messages, { 2: "two", 3: "three", 9: "nine" });
  });

  test("a resync keeps the rows that are still there", async () => {
    const messages = await follow();
    const gone: unknown[] = [];
    messages.subscribeChanges((changes) => {
      for (const { type, key } of changes)
        if (type === "delete") gone.push(key);
    });
    await elsewhere.query(
      `ALTER TABLE ${table} ADD COLUMN mood TEXT DEFAULT 'fine'`,
    );
    await until(
      () => (messages.get("1") as Message & { mood?: string })?.mood === "fine",
      "the new column",
    );
    await elsewhere.delete(table, { id: 3n });
    await shows(messages, { 1: "one", 2: "two" });
    expect(gone).toEqual(["3"]);
  });

  test("two collections are joined, and the join follows both", async () => {
    const rooms = `${table}_rooms`;
    await elsewhere.query(
      `CREATE TABLE ${rooms} (name TEXT PRIMARY KEY, title TEXT) WITH (TYPE='SHARED')`,
    );
    await elsewhere.insert(rooms, { name: "lobby", title: "The lobby" });
    const messages = await follow();
    const titles = createCollection(
      kalamCollectionOptions<{ name: string; title: string }>({
        client: here,
        table: rooms,
        key: "name",
      }),
    );
    const joined = createLiveQueryCollection((query) =>
      query
        .from({ message: messages })
        .innerJoin({ room: titles }, ({ message, room }) =>
          eq(message.room, room.name),
        )
        .select(({ message, room }) => ({
          id: message.id,
          title: room.title,
        })),
    );
    await joined.preload();
    const lines = () =>
      joined.toArray.map(({ id, title }) => `${id} ${title}`).sort();
    expect(lines()).toEqual(["1 The lobby", "2 The lobby"]);
    await elsewhere.insert(rooms, { name: "attic", title: "The attic" });
    await until(() => lines().length === 3, "the message of the attic");
    await elsewhere.update(rooms, { name: "lobby" }, { title: "Downstairs" });
    await until(() => lines()[0] === "1 Downstairs", "the new title");
    await elsewhere.delete(table, { id: 2n });
    await until(() => lines().length === 2, "one message less");
    expect(lines()).toEqual(["1 Downstairs", "3 The attic"]);
  });

  test("a composite key tells rows apart", async () => {
    const pairs = `${table}_pairs`;
    await elsewhere.query(
      `CREATE TABLE ${pairs} (a INT, b TEXT, n INT, PRIMARY KEY (a, b)) WITH (TYPE='SHARED')`,
    );
    const collection = createCollection(
      kalamCollectionOptions<{ a: number; b: string; n: number }>({
        client: here,
        table: pairs,
        key: ["a", "b"],
      }),
    );
    await collection.preload();
    await collection.insert([
      { a: 1, b: "x", n: 1 },
      { a: 1, b: "y", n: 2 },
    ]).isPersisted.promise;
    const key = JSON.stringify(["1", "y"]);
    await collection.update(key, (draft) => {
      draft.n = 3;
    }).isPersisted.promise;
    expect(collection.get(key)).toMatchObject({ a: 1, b: "y", n: 3 });
    expect(collection.size).toBe(2);
  });

  test("it unsubscribes when it is cleaned up", async () => {
    const before = here.getSubscriptionCount();
    const messages = await follow();
    expect(here.getSubscriptionCount()).toBe(before + 1);
    await messages.cleanup();
    expect(here.getSubscriptionCount()).toBe(before);
  });
});
