// Measures the client in Chromium (K2 of `kalam bench`'s catalogue): npm run bench -w kalam-link
// KALAMDB_SERVER_BINARY chooses the server; without it the one of `make run` is taken.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const PASSWORD = "Root-secret-123";
const LOADS = 11;
const BROWSERS = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
const target =
  process.env.CARGO_TARGET_DIR ?? join(homedir(), ".cache/kalamdb/target");
const binary =
  process.env.KALAMDB_SERVER_BINARY ?? join(target, "debug/kalamdb-server");

const here = import.meta.dirname;
const files = {
  "/browser.js": [
    "text/javascript",
    readFileSync(join(here, "../dist/browser.js")),
  ],
  "/page.js": ["text/javascript", readFileSync(join(here, "page.js"))],
  "/": ["text/html", "<!doctype html><title>bench</title>"],
};

function serve() {
  const server = createServer((request, response) => {
    const [type, body] = files[request.url] ?? ["text/plain", undefined];
    response.writeHead(body === undefined ? 404 : 200, {
      "content-type": type,
    });
    response.end(body);
  });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () =>
      resolve({ server, url: `http://127.0.0.1:${server.address().port}` }),
    ),
  );
}

function startDatabase(folder) {
  const child = spawn(binary, [], {
    env: {
      ...process.env,
      KALAMDB_DATA_DIR: folder,
      KALAMDB_SERVER_PORT: "0",
      KALAMDB_ROOT_PASSWORD: PASSWORD,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return new Promise((resolve, reject) => {
    const hear = (chunk) => {
      const [, url] = /ready at (http:\S+)/.exec(chunk.toString()) ?? [];
      if (url) resolve({ child, url });
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("exit", (code) =>
      reject(new Error(`the server ended with ${code}`)),
    );
  });
}

/** ms from the import of the package to the first row, in a page of its own: with a token, or with a password. */
async function firstRow(browser, pages, database, token) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(pages);
  const took = await page.evaluate(
    async ([url, password, token]) => {
      const begun = performance.now();
      const { Auth, createClient } = await import("/browser.js");
      const auth = token ? Auth.jwt(token) : Auth.basic("root", password);
      const client = createClient({ url, auth });
      const [row] = await client.live("SELECT body FROM bench.t").ready();
      if (row.body !== "first") throw new Error("another row");
      return performance.now() - begun;
    },
    [database, PASSWORD, token],
  );
  await context.close();
  return took;
}

const ratio = (a, b) => (a / b).toFixed(2);

const folder = mkdtempSync(join(tmpdir(), "kalam-bench-"));
const pages = await serve();
const database = await startDatabase(folder);
const browser = await chromium.launch({
  executablePath: BROWSERS.find(existsSync),
  args: ["--no-sandbox", "--disable-gpu"],
});
try {
  const page = await browser.newPage();
  await page.goto(pages.url);
  await page.evaluate(
    async ([url, password]) => {
      const { Auth, createClient } = await import("/browser.js");
      const client = createClient({ url, auth: Auth.basic("root", password) });
      await client.query("CREATE NAMESPACE bench");
      await client.query(
        "CREATE TABLE bench.t (id INT PRIMARY KEY, body TEXT) WITH (TYPE='SHARED')",
      );
      await client.insert("bench.t", { id: 1, body: "first" });
      await import("/page.js");
    },
    [database.url, PASSWORD],
  );
  const { batches, changes } = await page.evaluate(() => globalThis.measure());
  console.log(
    `batch of 1,000 rows to objects: ${batches.ours.toFixed(0)} µs; JSON.parse alone ${batches.parse.toFixed(0)} µs; ratio ${ratio(batches.ours, batches.parse)}`,
  );
  console.log(
    `20,000 single changes: ${changes.ours.toFixed(0)} ms; by hand ${changes.byHand.toFixed(0)} ms; ratio ${ratio(changes.ours, changes.byHand)}`,
  );
  await page.close();
  const login = await fetch(`${database.url}/v1/api/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: "root", password: PASSWORD }),
  });
  const { access_token } = await login.json();
  for (const [name, token] of [
    ["a token", access_token],
    ["a password", undefined],
  ]) {
    const loads = [];
    for (let n = 0; n < LOADS; n += 1)
      loads.push(await firstRow(browser, pages.url, database.url, token));
    loads.sort((a, b) => a - b);
    console.log(
      `import to first row with ${name}: ${loads[LOADS >> 1].toFixed(1)} ms (${loads[0].toFixed(1)} to ${loads[LOADS - 1].toFixed(1)})`,
    );
  }
} finally {
  await browser.close();
  pages.server.close();
  database.child.removeAllListeners("exit");
  database.child.kill();
  rmSync(folder, { recursive: true, force: true });
}
