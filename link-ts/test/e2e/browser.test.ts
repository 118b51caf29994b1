import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type * as Link from "../../dist/browser.js";
import { launch, open, Pages } from "../support/pages.js";
import { FaultyProxy } from "../support/proxy.js";
import { TestServer, until } from "../support/server.js";

declare global {
  // What the page gives to the tests.
  var link: typeof Link;
  var client: Link.KalamClient;
  var live: Link.LiveQuery<{ id: bigint; body: string }>;
}

let server: TestServer;
let pages: Pages;
let browser: Browser;

beforeAll(async () => {
  server = await TestServer.start();
  pages = new Pages(join(import.meta.dirname, "../../dist"), {
    "/index.html": `<!doctype html><script type="module">
      import * as link from "/browser.js";
      globalThis.link = link;
      globalThis.client = link.createClient({
        url: "${server.url}", auth: link.Auth.basic("root", "${server.password}"),
        reconnect: { delayFirstMs: 50, delayMaxMs: 200 },
      });
    </script>`,
    "/worker.js": `import { Auth, createClient } from "/browser.js";
      const client = createClient({ url: "${server.url}", auth: Auth.basic("root", "${server.password}") });
      client.live("SELECT * FROM web.t ORDER BY id").ready().then(
        (rows) => postMessage(rows.length), (error) => postMessage(String(error)));`,
  });
  await pages.start();
  browser = await launch();
  const page = await chat();
  await page.evaluate(async () => {
    await client.query("CREATE NAMESPACE web");
    await client.query(
      "CREATE TABLE web.t (id BIGINT PRIMARY KEY, body TEXT) WITH (TYPE='SHARED')",
    );
  });
});

afterAll(async () => {
  await browser?.close();
  await pages?.stop();
  await server?.dispose();
});

async function chat(): Promise<Page> {
  const { page, errors } = await open(browser, pages.url);
  await page.waitForFunction(() => globalThis.client !== undefined);
  expect(errors).toEqual([]);
  return page;
}

function rows(page: Page): Promise<[string, string][]> {
  return page.evaluate(() =>
    live.rows.map(({ id, body }) => [String(id), body]),
  );
}

async function follow(page: Page): Promise<void> {
  await page.evaluate(async () => {
    globalThis.live = client.live("SELECT id, body FROM web.t ORDER BY id");
    await live.ready();
  });
}

test("two pages see what each other writes", async () => {
  const [left, right] = [await chat(), await chat()];
  await follow(left);
  await follow(right);
  await left.evaluate(() =>
    client.insert("web.t", { id: 1n, body: "from the left 😀" }),
  );
  await right.evaluate(() =>
    client.insert("web.t", { id: 2n, body: "from the right" }),
  );
  const both = [
    ["1", "from the left 😀"],
    ["2", "from the right"],
  ];
  for (const page of [left, right]) {
    await until(async () => (await rows(page)).length === 2, "both rows");
    expect(await rows(page)).toEqual(both);
    await page.close();
  }
});

test("5,000 rows come in batches", async () => {
  const page = await chat();
  await page.evaluate(async () => {
    await client.query(
      "CREATE TABLE web.many (id INT PRIMARY KEY, body TEXT) WITH (TYPE='SHARED')",
    );
    await client.query(
      "INSERT INTO web.many SELECT value, 'row ' || value FROM generate_series(1, 5000)",
    );
    const many = client.live<{ id: number }>("SELECT * FROM web.many", [], {
      batchSize: 500,
    });
    const seen = (await many.ready()).map(({ id }) => id);
    if (seen.length !== 5000 || seen[4999] !== 5000)
      throw new Error(`${seen.length} rows`);
    many.close();
  });
  await page.close();
});

test("rows enter and leave a filter, and change", async () => {
  const page = await chat();
  await page.evaluate(async () => {
    globalThis.live = client.live(
      "SELECT id, body FROM web.t WHERE body LIKE $1 ORDER BY id",
      ["in%"],
    );
    await live.ready();
    await client.insert("web.t", { id: 50n, body: "in" });
    await client.insert("web.t", { id: 51n, body: "out" });
  });
  const shows = (wanted: [string, string][]) =>
    until(
      async () => JSON.stringify(await rows(page)) === JSON.stringify(wanted),
      JSON.stringify(wanted),
    );
  const set = (id: string, body: string) =>
    page.evaluate(
      ([id, body]) => client.update("web.t", { id: BigInt(id) }, { body }),
      [id, body] as const,
    );
  await shows([["50", "in"]]);
  await set("51", "in too");
  await shows([
    ["50", "in"],
    ["51", "in too"],
  ]);
  await set("50", "inside");
  await shows([
    ["50", "inside"],
    ["51", "in too"],
  ]);
  await set("50", "out");
  await shows([["51", "in too"]]);
  await page.evaluate(() => client.delete("web.t", { id: 51n }));
  await shows([]);
  await page.close();
});

test("values of every type cross, with their extremes", async () => {
  const page = await chat();
  const differing = await page.evaluate(async () => {
    await client.query(`CREATE TABLE web.everything (
      id BIGINT PRIMARY KEY, b BOOLEAN, s SMALLINT, i INT, f FLOAT, d DOUBLE, n DECIMAL(38,10), t TEXT,
      ts TIMESTAMP, dt DATETIME, da DATE, ti TIME, j JSON, by BYTES, u UUID, e EMBEDDING(3)
    ) WITH (TYPE='SHARED')`);
    const most = {
      id: 2n ** 63n - 1n,
      b: true,
      s: 32767,
      i: -2147483648,
      f: 0.5,
      d: Number.MAX_VALUE,
      n: "1234567890123456789012345678.0123456789",
      t: `emoji 😀, עברית, "quoted", \u0001 ${"x".repeat(1_000_000)}`,
      ts: new Date(1_700_000_000_123),
      dt: new Date(-1),
      da: 19_000,
      ti: 86_399_999_999,
      j: '{"a":[1,2]}',
      by: Uint8Array.of(0, 1, 255),
      u: "123e4567-e89b-12d3-a456-426614174000",
      e: [0.5, -1, 2],
    };
    const empty = Object.fromEntries(
      Object.keys(most).map((name) => [name, null]),
    );
    const wanted = [
      { ...empty, id: -(2n ** 63n), d: Number.NaN, f: -Infinity },
      { ...empty, id: 0n, d: 5e-324, t: "" },
      most,
    ];
    for (const row of wanted) await client.insert("web.everything", row);
    const sql = "SELECT * FROM web.everything ORDER BY id";
    const everything = client.live(sql);
    await everything.ready();
    const text = (value: unknown) =>
      JSON.stringify(value, (_, cell) =>
        typeof cell === "bigint" || Number.isNaN(cell) || cell === -Infinity
          ? `${typeof cell} ${cell}`
          : cell instanceof Uint8Array
            ? [...cell]
            : cell,
      );
    const queried = (await client.query(sql)).rows();
    const shown = everything.rows.map(({ _seq, ...row }) => row);
    everything.close();
    return [queried, shown].filter((rows) => text(rows) !== text(wanted))
      .length;
  });
  expect(differing).toBe(0);
  await page.close();
});

/** A page whose network can be broken. */
async function behindProxy(): Promise<{ page: Page; proxy: FaultyProxy }> {
  const proxy = new FaultyProxy(server.url);
  await proxy.start();
  const page = await chat();
  await page.evaluate(
    ([url, password]) => {
      globalThis.client = link.createClient({
        url,
        auth: link.Auth.basic("root", password),
        // Only a hint of the browser makes it dial before the test ends.
        reconnect: { delayFirstMs: 3_600_000, delayMaxMs: 3_600_000 },
      });
    },
    [proxy.url, server.password] as const,
  );
  await follow(page);
  return { page, proxy };
}

const has = (page: Page, id: string) =>
  until(
    async () => (await rows(page)).some(([other]) => other === id),
    `row ${id}`,
  );

test("a page that was offline goes on at once when it is online", async () => {
  const { page, proxy } = await behindProxy();
  const writer = await chat();
  // The network swallows everything, and the browser says so: the client finds out that the connection is dead.
  proxy.silence(true);
  await page.context().setOffline(true);
  await page.waitForFunction(() => live.status === "offline");
  await writer.evaluate(() => client.insert("web.t", { id: 60n, body: "" }));
  proxy.cut();
  proxy.silence(false);
  await page.context().setOffline(false);
  await has(page, "60");
  expect(await page.evaluate(() => live.status)).toBe("live");
  await page.close();
  await writer.close();
  await proxy.stop();
});

test("a hidden page that lost its connection goes on when it is looked at", async () => {
  const { page, proxy } = await behindProxy();
  const writer = await chat();
  const frozen = await page.context().newCDPSession(page);
  const visibility = (state: "hidden" | "visible") =>
    page.evaluate((state) => {
      Object.defineProperty(document, "visibilityState", {
        configurable: true,
        get: () => state,
      });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
  await visibility("hidden");
  await frozen.send("Page.setWebLifecycleState", { state: "frozen" });
  proxy.cut();
  await writer.evaluate(() => client.insert("web.t", { id: 61n, body: "" }));
  await frozen.send("Page.setWebLifecycleState", { state: "active" });
  await page.waitForFunction(() => live.status === "offline");
  await visibility("visible");
  await has(page, "61");
  await page.close();
  await writer.close();
  await proxy.stop();
});

test("a page goes on through a restart of the server", async () => {
  const page = await chat();
  await follow(page);
  await server.stop("SIGKILL");
  await page.waitForFunction(() => live.status === "offline");
  await server.start();
  await page.waitForFunction(() => live.status === "live");
  await page.evaluate(() => client.insert("web.t", { id: 77n, body: "after" }));
  await has(page, "77");
  await page.close();
});

test("a token that ends while the page is connected is renewed on the same socket", async () => {
  const own = await TestServer.start({ KALAMDB_JWT_ACCESS_SECONDS: "2" });
  const page = await chat();
  const seen = await page.evaluate(
    async ([url, password]) => {
      const sockets: WebSocket[] = [];
      class CountedSocket extends WebSocket {
        constructor(address: string) {
          super(address);
          sockets.push(this);
        }
      }
      const short = link.createClient({
        url,
        auth: link.Auth.basic("root", password),
        WebSocket: CountedSocket as never,
      });
      await short.query("CREATE NAMESPACE n");
      await short.query(
        "CREATE TABLE n.t (id INT PRIMARY KEY) WITH (TYPE='SHARED')",
      );
      const statuses: string[] = [];
      const rows = short.live<{ id: number }>("SELECT * FROM n.t");
      rows.onRows((_, status) => statuses.push(status));
      await rows.ready();
      // Three lives of a token, by the server's clock.
      const begun = Date.now();
      for (let id = 0; Date.now() - begun < 6_500; id += 1) {
        await short.insert("n.t", { id });
        while (rows.rows.length <= id)
          await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await short.disconnect();
      return { sockets: sockets.length, statuses: [...new Set(statuses)] };
    },
    [own.url, own.password] as const,
  );
  expect(seen).toEqual({ sockets: 1, statuses: ["live", "offline"] });
  await page.close();
  await own.dispose();
});

test("the client runs in a worker", async () => {
  const page = await chat();
  const count = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const worker = new Worker("/worker.js", { type: "module" });
        worker.onmessage = ({ data }) => resolve(data);
      }),
  );
  expect(count).toBeGreaterThanOrEqual(2);
  await page.close();
});
