// The hooks in React in Chromium, in StrictMode, which mounts everything twice.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { KalamClient } from "../../dist/browser.js";
import { launch, open, Pages } from "../support/pages.js";
import { TestServer } from "../support/server.js";

declare global {
  // What the page gives to the tests.
  var client: KalamClient;
}

const here = import.meta.dirname;
const readme = readFileSync(join(here, "../../README.md"), "utf8");

let server: TestServer;
let pages: Pages;
let browser: Browser;

async function bundle(code: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: code,
      loader: "tsx",
      resolveDir: join(here, "../react"),
    },
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"development"' },
  });
  return outputFiles[0]?.text ?? "";
}

beforeAll(async () => {
  server = await TestServer.start();
  const begin = `
    import { Auth, createClient } from "kalam-link";
    const client = createClient({ url: "${server.url}", auth: Auth.basic("root", "${server.password}") });
    globalThis.client = client;
    const place = document.getElementById("root");`;
  const [block] = /(?<=^```tsx\n).*?(?=^```$)/ms.exec(readme) ?? [];
  const html = (script: string) =>
    `<!doctype html><div id="root"></div><script type="module" src="${script}"></script>`;
  pages = new Pages(here, {
    "/index.html": html("/page.js"),
    "/page.js": await bundle(`${begin}
      import { show } from "./page.tsx";
      show(client, place);`),
    "/readme.html": html("/readme.js"),
    "/readme.js": await bundle(`${begin}
      ${block}
      import { createRoot } from "react-dom/client";
      createRoot(place).render(<App />);`),
  });
  await pages.start();
  browser = await launch();
  const { page } = await open(browser, pages.url);
  await page.evaluate(async () => {
    await client.query("CREATE NAMESPACE hooks");
    await client.query(
      "CREATE TABLE hooks.notes (id BIGINT PRIMARY KEY, room TEXT, body TEXT) WITH (TYPE='SHARED')",
    );
    await client.insert("hooks.notes", [
      { id: 1n, room: "lobby", body: "one" },
      { id: 2n, room: "attic", body: "two" },
    ]);
    await client.query("CREATE NAMESPACE chat");
    await client.query(
      "CREATE TABLE chat.messages (id BIGINT PRIMARY KEY, body TEXT) WITH (TYPE='SHARED')",
    );
    await client.insert("chat.messages", { id: 1n, body: "Mountains?" });
  });
  await page.close();
});

afterAll(async () => {
  await browser?.close();
  await pages?.stop();
  await server?.dispose();
});

const shows = (page: Page, id: string, text: string) =>
  page.waitForFunction(
    ([id, text]) => document.getElementById(id as string)?.textContent === text,
    [id, text],
  );

test("useLiveQuery follows its rows and its parameters, and ends with the component", async () => {
  const { page, errors } = await open(browser, pages.url);
  await shows(page, "live", "one");
  await page.click("#add");
  await shows(page, "live", "one,added");
  await page.click("#room");
  await shows(page, "live", "two");
  // One for the component that is there, one for the failed query.
  const count = () => page.evaluate(() => client.getSubscriptionCount());
  const before = await count();
  await page.click("#leave");
  await page.waitForFunction(() => !document.getElementById("live"));
  expect(await count()).toBe(before - 1);
  expect(errors).toEqual([]);
  await page.close();
});

test("useQuery runs once, and again when it is told", async () => {
  const { page } = await open(browser, pages.url);
  const rows = () =>
    page.evaluate(
      () => document.getElementById("once")?.firstChild?.textContent,
    );
  await page.waitForFunction(
    () => document.getElementById("once")?.dataset.loading === "false",
  );
  const before = Number(await rows());
  await page.evaluate(() =>
    client.insert("hooks.notes", { id: 20n, room: "x", body: "" }),
  );
  await page.click("#refetch");
  await page.waitForFunction(
    (wanted) =>
      document.getElementById("once")?.firstChild?.textContent === wanted,
    String(before + 1),
  );
  await page.close();
});

test("errors arrive with their codes", async () => {
  const { page } = await open(browser, pages.url);
  await shows(page, "failing", "failed NOT_FOUND TABLE_NOT_FOUND");
  await page.close();
});

test("the component of the README shows rows and deletes them", async () => {
  const { page, errors } = await open(browser, `${pages.url}/readme.html`);
  await page.waitForSelector("li");
  expect(await page.textContent("ul")).toBe("Mountains?");
  await page.click("li");
  await page.waitForFunction(() => !document.querySelector("li"));
  expect(errors).toEqual([]);
  await page.close();
});
