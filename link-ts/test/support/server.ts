// A server of its own for each test file: free port, temporary folder.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

const ROOT_PASSWORD = "Root-secret-123";

export const binary = join(
  process.env.CARGO_TARGET_DIR ?? join(homedir(), ".cache/kalamdb/target"),
  "debug",
  "kalamdb-server",
);

/** Where a server is, and how to end and begin it. */
export class TestServer {
  readonly folder: string;
  readonly user = "root";
  readonly password = ROOT_PASSWORD;
  readonly #settings: Record<string, string>;
  #process: ChildProcess | undefined;
  url = "";

  constructor(settings: Record<string, string> = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "kalam-link-"));
    this.#settings = settings;
  }

  static async start(settings?: Record<string, string>): Promise<TestServer> {
    const server = new TestServer(settings);
    await server.start();
    return server;
  }

  /** Begins, at the address of the last time. */
  async start(): Promise<void> {
    const port = this.url ? new URL(this.url).port : "0";
    const child = spawn(binary, [], {
      cwd: this.folder,
      env: {
        ...process.env,
        HOME: this.folder,
        KALAMDB_DATA_DIR: join(this.folder, "data"),
        KALAMDB_SERVER_PORT: port,
        KALAMDB_ROOT_PASSWORD: ROOT_PASSWORD,
        ...this.#settings,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    let said = "";
    this.url = await new Promise<string>((resolve, reject) => {
      const hear = (chunk: Buffer) => {
        said += chunk.toString();
        const found = /ready at (http:\S+)/.exec(said);
        if (found?.[1]) resolve(found[1]);
      };
      child.stdout?.on("data", hear);
      child.stderr?.on("data", hear);
      child.once("error", reject);
      child.once("exit", (code) =>
        reject(new Error(`the server ended with ${code}: ${said}`)),
      );
    });
  }

  /** Ends as a crash does, or politely. */
  async stop(signal: "SIGKILL" | "SIGTERM" = "SIGTERM"): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  async dispose(): Promise<void> {
    await this.stop("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits until something holds. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  const TRIES_MAX = 3_000;
  for (let tried = 0; tried < TRIES_MAX; tried += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`never: ${what}`);
}
