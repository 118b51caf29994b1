import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type * as Link from "../../dist/browser.js";
import { launch, open, Pages } from "../support/pages.js";
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

test("a page goes on when it is online again, and through a restart of the server", async () => {
  const page = await chat();
  await follow(page);
  await page.context().setOffline(true);
  await page.evaluate(() => client.disconnect());
  await page.context().setOffline(false);
  await page.evaluate(() => client.connect());
  await server.stop("SIGKILL");
  await page.waitForFunction(() => live.status === "offline");
  await server.start();
  await page.waitForFunction(() => live.status === "live");
  await page.evaluate(() => client.insert("web.t", { id: 77n, body: "after" }));
  await until(
    async () => (await rows(page)).some(([id]) => id === "77"),
    "the row after the restart",
  );
  await page.close();
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
