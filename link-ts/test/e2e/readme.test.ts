// The code of README.md, and then of docs/sdk/javascript.md, runs as it stands there.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as tanstackDb from "@tanstack/db";
import ts from "typescript";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as link from "../../dist/node.js";
import * as collections from "../../dist/tanstack-db.js";
import { TestServer } from "../support/server.js";

const text = ["../../README.md", "../../../docs/sdk/javascript.md"]
  .map((name) => readFileSync(join(import.meta.dirname, name), "utf8"))
  .join("\n");
const blocks = [...text.matchAll(/^```ts( first)?\n(.*?)^```$/gms)].map(
  ([, , code]) => code ?? "",
);

const modules: Record<string, unknown> = {
  "kalam-link": link,
  "kalam-link/tanstack-db": collections,
  "@tanstack/db": tanstackDb,
};

let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start();
});

afterAll(() => server.dispose());

/** Runs a block with a client, and returns what it printed. */
async function run(code: string): Promise<unknown[][]> {
  const there = code
    .replaceAll("http://localhost:8080", server.url)
    .replace("the password that the server showed", server.password)
    .replaceAll(/import \{(.*?)\} from (".*?");/g, "const {$1} = modules[$2];");
  const { outputText } = ts.transpileModule(there, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
    },
  });
  const client = link.createClient({
    url: server.url,
    auth: link.Auth.basic(server.user, server.password),
  });
  const said: unknown[][] = [];
  const console = { log: (...words: unknown[]) => said.push(words) };
  // Its own `client` stands in a block of its own.
  const body = `{ ${outputText} }`;
  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: string[]
  ) => (...values: unknown[]) => Promise<void>;
  await new AsyncFunction("modules", "client", "console", "fetchToken", body)(
    modules,
    client,
    console,
    async () => "t",
  );
  await client.disconnect();
  return said;
}

test("the first program prints the rows", async () => {
  expect(await run(blocks[0] ?? "")).toEqual([[["Mountains or the sea?"]]]);
});

test("every other block runs", async () => {
  expect(blocks.length).toBeGreaterThan(5);
  for (const block of blocks.slice(1)) {
    const said = await run(block);
    if (block.includes("mesages"))
      expect(said).toEqual([
        ["TABLE_NOT_FOUND", expect.stringContaining("chat.messages")],
      ]);
  }
});
