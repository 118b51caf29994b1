// The packed tarball, installed in a fresh folder, works wherever JavaScript runs: without configuration.
import { execFileSync, spawn } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, open, Pages } from "../support/pages.js";
import { TestServer } from "../support/server.js";

let folder: string;
let server: TestServer;
let browser: Browser;

const run = (command: string, args: string[]) =>
  execFileSync(command, args, { cwd: folder, encoding: "utf8" });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kalam-link-package-"));
  execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], {
    cwd: join(import.meta.dirname, "../.."),
  });
  const tarball =
    readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ name: "app", private: true, type: "module" }),
  );
  run("npm", [
    "install",
    "--silent",
    "--no-fund",
    "--no-audit",
    `./${tarball}`,
    "vite@7",
    "esbuild@0.25",
    "webpack@5",
    "webpack-cli@6",
    "workerd@1",
  ]);
  server = await TestServer.start();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** Connects, creates, inserts, and reads live. */
function program(load: string, done: string): string {
  return `${load}
async function main() {
  const client = createClient({ url: "${server.url}", auth: Auth.basic("root", "${server.password}") });
  await client.query("CREATE NAMESPACE IF NOT EXISTS pack");
  await client.query("CREATE TABLE IF NOT EXISTS pack.t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), body TEXT) WITH (TYPE='USER')");
  await client.insert("pack.t", { body: "hello" });
  const live = client.live("SELECT body FROM pack.t");
  const [row] = await live.ready();
  await client.disconnect();
  return row.body;
}
main().then((said) => ${done}(said), (error) => ${done}(String(error)));
`;
}

const ESM = 'import { Auth, createClient } from "kalam-link";';
const PAGE = "(text => { document.title = text; })";

async function titleOf(files: string): Promise<string> {
  const pages = new Pages(files);
  await pages.start();
  const { page, errors } = await open(browser, pages.url);
  await page.waitForFunction(() => document.title !== "");
  const title = await page.title();
  expect(errors).toEqual([]);
  await page.close();
  await pages.stop();
  return title;
}

test("Node, as a module and as CommonJS", () => {
  writeFileSync(join(folder, "main.mjs"), program(ESM, "console.log"));
  writeFileSync(
    join(folder, "main.cjs"),
    program(
      'const { Auth, createClient } = require("kalam-link");',
      "console.log",
    ),
  );
  expect(run(process.execPath, ["main.mjs"]).trim()).toBe("hello");
  expect(run(process.execPath, ["main.cjs"]).trim()).toBe("hello");
});

test("a page built with Vite", async () => {
  const app = join(folder, "vite-app");
  mkdirSync(app);
  writeFileSync(
    join(app, "index.html"),
    '<!doctype html><script type="module" src="/main.js"></script>',
  );
  writeFileSync(join(app, "main.js"), program(ESM, PAGE));
  run("npx", ["vite", "build", "vite-app", "--logLevel", "warn"]);
  expect(await titleOf(join(app, "dist"))).toBe("hello");
});

for (const [name, build] of [
  [
    "esbuild",
    [
      "esbuild",
      "page.js",
      "--bundle",
      "--format=esm",
      "--outfile=esbuild-app/main.js",
      "--log-level=warning",
    ],
  ],
  [
    "webpack",
    [
      "webpack",
      "--mode=production",
      "--entry=./page.js",
      "--output-path=./webpack-app",
      "--output-filename=main.js",
    ],
  ],
] as const)
  test(`a page built with ${name}`, async () => {
    writeFileSync(join(folder, "page.js"), program(ESM, PAGE));
    const app = join(folder, `${name}-app`);
    mkdirSync(app, { recursive: true });
    run("npx", [...build]);
    writeFileSync(
      join(app, "index.html"),
      '<!doctype html><script type="module" src="/main.js"></script>',
    );
    expect(await titleOf(app)).toBe("hello");
  });

test("a worker of a page built with Vite", async () => {
  const app = join(folder, "worker-app");
  mkdirSync(app);
  writeFileSync(
    join(app, "index.html"),
    '<!doctype html><script type="module" src="/main.js"></script>',
  );
  writeFileSync(join(app, "worker.js"), program(ESM, "postMessage"));
  writeFileSync(
    join(app, "main.js"),
    `const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
     worker.onmessage = ({ data }) => { document.title = data; };`,
  );
  run("npx", ["vite", "build", "worker-app", "--logLevel", "warn"]);
  expect(await titleOf(join(app, "dist"))).toBe("hello");
});

test("a service worker", async () => {
  const app = join(folder, "service-app");
  mkdirSync(app);
  const script = program(
    ESM,
    "((text) => new BroadcastChannel('said').postMessage(text))",
  );
  writeFileSync(join(folder, "service.js"), script);
  run("npx", [
    "esbuild",
    "service.js",
    "--bundle",
    "--outfile=service-app/service.js",
    "--log-level=warning",
  ]);
  writeFileSync(
    join(app, "index.html"),
    `<!doctype html><script>
      new BroadcastChannel("said").onmessage = ({ data }) => { document.title = data; };
      navigator.serviceWorker.register("/service.js");
    </script>`,
  );
  expect(await titleOf(app)).toBe("hello");
});

test("a runtime that imports the wasm as a module", async () => {
  const app = join(folder, "edge-app");
  mkdirSync(app);
  writeFileSync(
    join(folder, "edge.js"),
    `${program(ESM, "globalThis.ignored ??= ").split("main().then")[0]}
     export default { fetch: async () => new Response(await main().catch(String)) };`,
  );
  run("npx", [
    "esbuild",
    "edge.js",
    "--bundle",
    "--format=esm",
    "--conditions=workerd",
    "--loader:.wasm=copy",
    "--asset-names=core",
    "--outfile=edge-app/main.js",
    "--log-level=warning",
  ]);
  writeFileSync(
    join(app, "config.capnp"),
    `using Workerd = import "/workerd/workerd.capnp";
     const config :Workerd.Config = (
       services = [
         (name = "main", worker = (
           modules = [
             (name = "main.js", esModule = embed "main.js"),
             (name = "core.wasm", wasm = embed "core.wasm"),
           ],
           compatibilityDate = "2026-01-01",
           globalOutbound = "network",
         )),
         (name = "network", network = (allow = ["private", "public", "local"])),
       ],
       sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
     );`,
  );
  const child = spawn(
    join(folder, "node_modules/.bin/workerd"),
    ["serve", "--control-fd=3", join(app, "config.capnp")],
    { stdio: ["ignore", "inherit", "inherit", "pipe"] },
  );
  const port = await new Promise<number>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`workerd ended: ${code}`)));
    child.stdio[3]?.on("data", (chunk: Buffer) => {
      const found = /"port":(\d+)/.exec(chunk.toString());
      if (found) resolve(Number(found[1]));
    });
  });
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  expect(await answer.text()).toBe("hello");
  child.removeAllListeners("exit");
  child.kill();
});

test("types are found in every way of resolving", () => {
  writeFileSync(
    join(folder, "types.ts"),
    `${ESM}
     const client = createClient({ url: "http://x", auth: Auth.none() });
     const rows: readonly { id: bigint }[] = client.live<{ id: bigint }>("SELECT 1").rows;
     // @ts-expect-error a client has no such method
     client.nothing(rows);`,
  );
  const tsc = join(
    import.meta.dirname,
    "../../../node_modules/typescript/bin/tsc",
  );
  for (const resolution of ["bundler", "nodenext"]) {
    const module = resolution === "bundler" ? "esnext" : "nodenext";
    run(process.execPath, [
      tsc,
      "--noEmit",
      "--strict",
      "--lib",
      "es2022,dom",
      "--target",
      "es2022",
      "--module",
      module,
      "--moduleResolution",
      resolution,
      "types.ts",
    ]);
  }
});
