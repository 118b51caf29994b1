// Live rows while tokens end, connections are cut and the server is killed.
//
// I6: at each quiet point the rows of every live query are those of SELECT; no row is there twice; a gap that the
// server could not fill shows as a resync, and as one.
//
// KALAMDB_LONG_TESTS=1: ten minutes with 500 cuts and 3 restarts.
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Auth,
  createClient,
  type KalamClient,
  type LiveQuery,
  type Row,
  type SubscriptionEvent,
} from "../../dist/node.js";
import { FaultyProxy } from "../support/proxy.js";
import { Random } from "../support/random.js";
import { TestServer, until } from "../support/server.js";

const isLong = process.env.KALAMDB_LONG_TESTS === "1";
const ROUNDS = isLong ? 50 : 4;
const CUTS_A_ROUND = isLong ? 10 : 5;
const RESTARTS = isLong ? 3 : 1;
/** Of one round, in ms; there is no bound on how long it really takes. */
const ROUND_MS = isLong ? 12_000 : 2_000;
const TOKEN_SECONDS = 5;
const SEED = Number(process.env.KALAM_SEED ?? 1);
const ROOMS = ["a", "b", "c", "d"];
const KEYS = 60;

/** Twenty live queries: filters, windows, columns, everything. */
const QUERIES: { sql: string; params: unknown[]; isOrdered: boolean }[] = [
  { sql: "SELECT * FROM chaos.t", params: [], isOrdered: false },
  {
    sql: "SELECT id, n FROM chaos.t ORDER BY n, id",
    params: [],
    isOrdered: true,
  },
  {
    sql: "SELECT * FROM chaos.t ORDER BY id DESC LIMIT 5",
    params: [],
    isOrdered: true,
  },
  {
    sql: "SELECT * FROM chaos.t ORDER BY n DESC, id LIMIT 7",
    params: [],
    isOrdered: true,
  },
  ...ROOMS.flatMap((room, index) => [
    {
      sql: "SELECT * FROM chaos.t WHERE room = $1",
      params: [room],
      isOrdered: false,
    },
    {
      sql: "SELECT id, room FROM chaos.t WHERE room = $1 AND n > $2 ORDER BY id",
      params: [room, index * 10],
      isOrdered: true,
    },
    {
      sql: "SELECT * FROM chaos.t WHERE n % 4 = $1 OR body IS NULL",
      params: [index],
      isOrdered: false,
    },
    {
      sql: "SELECT * FROM chaos.t WHERE room <> $1 ORDER BY n, id LIMIT 9",
      params: [room],
      isOrdered: true,
    },
  ]),
];

let server: TestServer;
let proxy: FaultyProxy;
let client: KalamClient;
let writer: KalamClient;

beforeAll(async () => {
  server = await TestServer.start({
    KALAMDB_JWT_ACCESS_SECONDS: String(TOKEN_SECONDS),
  });
  proxy = new FaultyProxy(server.url);
  await proxy.start();
  const auth = Auth.basic(server.user, server.password);
  const reconnect = { delayFirstMs: 20, delayMaxMs: 200 };
  client = createClient({ url: proxy.url, auth, reconnect });
  writer = createClient({ url: server.url, auth });
  await writer.query("CREATE NAMESPACE chaos");
  await writer.query(
    "CREATE TABLE chaos.t (id INT PRIMARY KEY, room TEXT NOT NULL, n INT NOT NULL, body TEXT) WITH (TYPE='SHARED')",
  );
});

afterAll(async () => {
  await client.disconnect();
  await proxy.stop();
  await server.dispose();
});

/** Some change, or none if there is nothing to change. */
async function write(random: Random): Promise<void> {
  const id = random.below(KEYS);
  const [room, n] = [random.pick(ROOMS), random.below(100)];
  const body = random.below(4) === 0 ? null : `text ${random.below(1000)}`;
  switch (random.below(4)) {
    case 0:
      await writer.query("DELETE FROM chaos.t WHERE id = $1", [id]);
      return;
    case 1:
      await writer.query("UPDATE chaos.t SET room = $1, n = $2 WHERE id = $3", [
        room,
        n,
        id,
      ]);
      return;
    case 2:
      await writer.query("UPDATE chaos.t SET n = n + 1 WHERE room = $1", [
        room,
      ]);
      return;
    default:
      await writer.query(
        "INSERT INTO chaos.t (id, room, n, body) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET body = $4",
        [id, room, n, body],
      );
  }
}

const shown = (row: Row) => {
  const { _seq, ...columns } = row;
  return JSON.stringify(columns, Object.keys(columns).sort());
};

/** Rows of the query that the live one also has: it has the key besides. */
async function selected(index: number): Promise<string[]> {
  const { sql, params, isOrdered } = QUERIES[index] as (typeof QUERIES)[0];
  const rows = (await writer.query(sql, params)).rows().map(shown);
  return isOrdered ? rows : rows.sort();
}

function current(live: LiveQuery, index: number): string[] {
  const rows = live.rows.map(shown);
  return QUERIES[index]?.isOrdered ? rows : rows.sort();
}

/** Waits until nothing is on its way, and compares. */
async function compare(lives: LiveQuery[]): Promise<void> {
  for (const [index, live] of lives.entries()) {
    const wanted = await selected(index);
    await until(
      () =>
        live.status === "live" &&
        JSON.stringify(current(live, index)) === JSON.stringify(wanted),
      `${live.sql} equal to SELECT; it is ${live.status} and has ${current(live, index)}, not ${wanted}`,
    );
    const ids = live.rows.map(({ id }) => id);
    expect(new Set(ids).size, `a row twice in ${live.sql}`).toBe(ids.length);
  }
}

const table = async () =>
  (await writer.query("SELECT * FROM chaos.t")).rows().map(shown).sort();

/** A table by its events alone: what a user of `subscribe` has. */
class Ledger {
  readonly rows = new Map<unknown, Row>();
  /** Changes that said what was known already. */
  repeated = 0;
  resyncs = 0;
  #loading: Map<unknown, Row> | undefined = new Map();

  take(event: SubscriptionEvent): void {
    switch (event.type) {
      case "initial_data_batch":
        for (const row of event.rows)
          (this.#loading ?? this.rows).set(row.id, row);
        return;
      case "resync":
        this.resyncs += 1;
        this.#loading = new Map();
        return;
      case "live":
        if (!this.#loading) return;
        this.rows.clear();
        for (const [id, row] of this.#loading) this.rows.set(id, row);
        this.#loading = undefined;
        return;
      case "change":
        this.#change(event.rows?.[0], event.old_values?.[0]);
        return;
      default:
    }
  }

  async equals(rows: string[]): Promise<void> {
    const own = () => [...this.rows.values()].map(shown).sort();
    await until(
      () => JSON.stringify(own()) === JSON.stringify(rows),
      `events give ${rows}, but ${own()}`,
    );
  }

  #change(row: Row | undefined, old: Row | undefined): void {
    const known = this.rows.get((row ?? old)?.id);
    if (row) {
      if (known?._seq === row._seq) this.repeated += 1;
      this.rows.set(row.id, { ...known, ...row });
    } else this.rows.delete(old?.id);
  }
}

test(
  "i6 rows are those of SELECT through cuts, restarts and tokens that end",
  async () => {
    const random = new Random(SEED);
    const lives = QUERIES.map(({ sql, params }) => client.live(sql, params));
    expect(lives.length).toBe(20);
    const ledger = new Ledger();
    await client.subscribe("chaos.t", (event) => ledger.take(event));
    let disconnects = 0;
    client.onDisconnect(() => {
      disconnects += 1;
    });
    const restarts = new Set(
      Array.from({ length: RESTARTS }, (_, n) =>
        Math.floor(((n + 1) * ROUNDS) / (RESTARTS + 1)),
      ),
    );
    for (let round = 0; round < ROUNDS; round += 1) {
      const end = performance.now() + ROUND_MS;
      let cuts = 0;
      while (performance.now() < end || cuts < CUTS_A_ROUND) {
        await write(random);
        const due = CUTS_A_ROUND * (1 - (end - performance.now()) / ROUND_MS);
        if (cuts >= due) continue;
        cuts += 1;
        proxy.isRefusing = random.below(5) === 0;
        proxy.cut();
      }
      proxy.isRefusing = false;
      if (restarts.has(round)) {
        await server.stop("SIGKILL");
        await server.start();
      }
      await compare(lives);
      const rows = (await writer.query("SELECT * FROM chaos.t")).rows();
      const events = [...ledger.rows.values()].map(shown).sort();
      expect(events).toEqual(rows.map(shown).sort());
    }
    expect(disconnects).toBeGreaterThan(0);
    expect(ledger.repeated).toBe(0);
    // Nothing here is beyond what the server can fill.
    expect(ledger.resyncs).toBe(0);
    console.log(
      `${ROUNDS} quiet points, ${ROUNDS * CUTS_A_ROUND} cuts, ${disconnects} lost connections, ${RESTARTS} restarts`,
    );
  },
  Number.POSITIVE_INFINITY,
);

test("i6 a gap that the server cannot fill is one resync", async () => {
  const ledger = new Ledger();
  const end = await client.subscribe("chaos.t", (event) => ledger.take(event));
  await until(() => client.isConnected() && ledger.rows.size > 0, "rows");
  await client.disconnect();
  await writer.query("ALTER TABLE chaos.t ADD COLUMN mood TEXT DEFAULT 'fine'");
  await writer.query("UPDATE chaos.t SET n = 1000 WHERE id < 30");
  await client.connect();
  await until(
    () => [...ledger.rows.values()].every(({ mood }) => mood === "fine"),
    "the new column",
  );
  expect(ledger.resyncs).toBe(1);
  await ledger.equals(await table());
  end();
});
