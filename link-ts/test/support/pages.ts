// Chromium, and pages for it from a server of our own.
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";

const BROWSERS = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

const TYPES: Record<string, string> = {
  html: "text/html",
  js: "text/javascript",
  css: "text/css",
  wasm: "application/wasm",
};

export function launch(): Promise<Browser> {
  const executablePath = BROWSERS.find(existsSync);
  if (!executablePath) throw new Error("there is no Chromium: make setup");
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-sync",
    ],
  });
}

/** Serves the files of a folder; texts come first. */
export class Pages {
  readonly #server: Server;
  url = "";

  constructor(folder: string, texts: Record<string, string> = {}) {
    this.#server = createServer((request, response) => {
      const path = new URL(request.url ?? "/", "http://pages").pathname;
      const name = path === "/" ? "/index.html" : path;
      const file = join(folder, name);
      const body =
        texts[name] ?? (existsSync(file) ? readFileSync(file) : undefined);
      response.writeHead(body === undefined ? 404 : 200, {
        "content-type": TYPES[name.split(".").at(-1) ?? ""] ?? "text/plain",
      });
      response.end(body);
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) =>
      this.#server.listen(0, "127.0.0.1", resolve),
    );
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A page whose errors fail the test that made them. */
export async function open(
  browser: Browser,
  url: string,
): Promise<{ page: Page; errors: string[] }> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url);
  return { page, errors };
}
