// docs/examples/chat as its README says, with two people at it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, Pages } from "../support/pages.js";
import { binary, TestServer } from "../support/server.js";

const example = join(import.meta.dirname, "../../../docs/examples/chat");
const dist = mkdtempSync(join(tmpdir(), "kalam-chat-"));
const people = { alice: "Wonderland-1865", bob: "Builder-1999" };

let server: TestServer;
let pages: Pages;
let browser: Browser;

function kalam(...args: string[]): string {
  const login = [
    "--url",
    server.url,
    "-u",
    "root",
    "--password",
    server.password,
  ];
  return execFileSync(join(dirname(binary), "kalam"), [...args, ...login], {
    encoding: "utf8",
    stdio: "pipe",
    env: { ...process.env, HOME: server.folder },
  });
}

beforeAll(async () => {
  server = await TestServer.start();
  kalam("-f", join(example, "setup.sql"));
  const options = ["--outDir", dist, "--emptyOutDir", "--logLevel", "error"];
  execFileSync("npm", ["run", "--silent", "build", "--", ...options], {
    cwd: example,
    stdio: "inherit",
  });
  pages = new Pages(dist);
  await pages.start();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await pages?.stop();
  await server?.dispose();
  rmSync(dist, { recursive: true, force: true });
});

async function signIn(user: keyof typeof people): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 900, height: 640 },
  });
  const page = await context.newPage();
  await page.goto(`${pages.url}/?server=${encodeURIComponent(server.url)}`);
  await page.fill("input[name=user]", user);
  await page.fill("input[name=password]", people[user]);
  await page.click("button[type=submit]");
  await page.waitForSelector(".status[data-status=live]");
  return page;
}

async function say(page: Page, body: string): Promise<void> {
  await page.fill(".composer input", body);
  await page.press(".composer input", "Enter");
}

/** What stands in the bubbles, without the time. */
const lines = (page: Page) =>
  page.$$eval(".bubble", (bubbles) =>
    bubbles.map((bubble) =>
      [...bubble.childNodes]
        .filter((node) => node.nodeType === Node.TEXT_NODE)
        .map((node) => node.textContent)
        .join(""),
    ),
  );

const shows = (page: Page, count: number) =>
  page.waitForFunction(
    (count) =>
      document.querySelectorAll(".bubble").length === count &&
      !document.querySelector(".unsent"),
    count,
  );

test("the types of the tables are those that the shell writes", () => {
  const written = kalam("gen", "ts", "--namespace", "chat_app");
  expect(readFileSync(join(example, "src/schema.ts"), "utf8").trim()).toBe(
    written.trim(),
  );
});

test("two people chat, see each other type, and go on through a restart of the server", async () => {
  const [alice, bob] = [await signIn("alice"), await signIn("bob")];
  await say(alice, "Where shall we go this summer?");
  await shows(bob, 1);
  await say(bob, "To the sea ☀️");
  await shows(alice, 2);

  await alice.type(".composer input", "Or the mountains?");
  await bob.waitForSelector(".typing:has-text('alice is typing')");
  const folder = process.env.KALAM_SCREENSHOTS;
  if (folder) await bob.screenshot({ path: join(folder, "chat.png") });
  await alice.press(".composer input", "Enter");
  await shows(bob, 3);
  await bob.waitForFunction(
    () => document.querySelector(".typing")?.textContent === "",
  );
  // Rows of a STREAM table end by themselves.
  await bob.type(".composer input", "Hm");
  await alice.waitForSelector(".typing:has-text('bob is typing')");
  await alice.waitForFunction(
    () => document.querySelector(".typing")?.textContent === "",
  );

  await server.stop("SIGKILL");
  for (const page of [alice, bob])
    await page.waitForSelector(".status[data-status=offline]");
  await say(alice, "Both, one after the other!");
  await alice.waitForSelector(".unsent");
  if (folder)
    await alice.screenshot({ path: join(folder, "chat-offline.png") });
  await server.start();
  for (const page of [alice, bob]) {
    await page.waitForSelector(".status[data-status=live]");
    await shows(page, 4);
    expect(await lines(page)).toEqual([
      "Where shall we go this summer?",
      "To the sea ☀️",
      "Or the mountains?",
      "Both, one after the other!",
    ]);
  }
  await alice.click("nav button:has-text('music')");
  await alice.waitForSelector(".hint");
  expect(await lines(alice)).toEqual([]);
});

test("a wrong password is told", async () => {
  const page = await browser.newPage();
  await page.goto(`${pages.url}/?server=${encodeURIComponent(server.url)}`);
  await page.fill("input[name=user]", "alice");
  await page.fill("input[name=password]", "wrong");
  await page.click("button[type=submit]");
  await page.waitForSelector("[role=alert]");
  await page.close();
});
