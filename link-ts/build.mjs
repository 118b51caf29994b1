// Builds the npm package: Rust to wasm, wasm into JavaScript, JavaScript and types into dist/.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";
import { build } from "tsup";

const here = dirname(fileURLToPath(import.meta.url));
const wasm = join(here, "wasm");
const dist = join(here, "dist");
const target =
  process.env.CARGO_TARGET_DIR ?? join(homedir(), ".cache/kalamdb/target");
const CRATE = "kalam_link_wasm";
// What Rust's own target uses: every runtime of the last years has it.
const FEATURES = [
  "--enable-bulk-memory",
  "--enable-multivalue",
  "--enable-mutable-globals",
  "--enable-nontrapping-float-to-int",
  "--enable-reference-types",
  "--enable-sign-ext",
];
const BOUND = join(wasm, `${CRATE}_bg.wasm`);

const run = (command, args) =>
  execFileSync(command, args, { cwd: join(here, ".."), stdio: "inherit" });

function compile() {
  run("cargo", [
    ...["build", "--locked", "--package", "kalam-link-wasm"],
    ...["--target", "wasm32-unknown-unknown", "--profile", "wasm"],
    ...["--target-dir", target],
  ]);
  rmSync(wasm, { recursive: true, force: true });
  run("wasm-bindgen", [
    ...["--target", "web", "--out-dir", wasm],
    join(target, "wasm32-unknown-unknown", "wasm", `${CRATE}.wasm`),
  ]);
  const optimizer = fileURLToPath(import.meta.resolve("binaryen/bin/wasm-opt"));
  run(process.execPath, [
    optimizer,
    ...["-Oz", "--strip-debug", "--strip-producers", ...FEATURES],
    ...[BOUND, "-o", BOUND],
  ]);
}

/** Resolves `virtual:core` to the wasm, deflated and in base64. */
const packedCore = {
  name: "packed-core",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^virtual:core$/ }, () => ({
      path: "core",
      namespace: "packed",
    }));
    onLoad({ filter: /.*/, namespace: "packed" }, () => {
      const packed = deflateRawSync(readFileSync(BOUND), { level: 9 });
      return {
        contents: `export default ${JSON.stringify(packed.toString("base64"))};`,
      };
    });
  },
};

/** Where the package keeps the wasm, for runtimes that import it as a module. */
const packagedWasm = {
  name: "packaged-wasm",
  setup({ onResolve }) {
    onResolve({ filter: /\.wasm$/ }, () => ({
      path: `./wasm/${CRATE}_bg.wasm`,
      external: true,
    }));
  },
};

/** Makes parts of the package take errors from its main part, so that there is one class `KalamError`. */
const sharedErrors = {
  name: "shared-errors",
  setup({ onResolve }) {
    onResolve({ filter: /\/errors\.js$/ }, () => ({
      path: "kalam-link",
      external: true,
    }));
  },
};

const common = {
  outDir: dist,
  target: "es2022",
  platform: "neutral",
  // Consumers need not have the library of `await using`.
  dts: { banner: '/// <reference lib="esnext.disposable" />' },
  minify: true,
  treeshake: true,
  splitting: false,
  external: ["kalam-link", "ws", "react", "@tanstack/db"],
  esbuildPlugins: [packedCore, packagedWasm],
  silent: true,
};

async function bundle() {
  rmSync(dist, { recursive: true, force: true });
  const entry = (name) => ({ [name]: join(here, "src/entry", `${name}.ts`) });
  await build({ ...common, format: ["esm"], entry: entry("browser") });
  await build({ ...common, format: ["esm", "cjs"], entry: entry("node") });
  await build({ ...common, format: ["esm"], entry: entry("workerd") });
  const parts = { react: "react.tsx", "tanstack-db": "tanstack-db.ts" };
  for (const [name, file] of Object.entries(parts))
    await build({
      ...common,
      format: ["esm", "cjs"],
      esbuildPlugins: [sharedErrors],
      entry: { [name]: join(here, "src", file) },
    });
  mkdirSync(join(dist, "wasm"), { recursive: true });
  copyFileSync(BOUND, join(dist, "wasm", `${CRATE}_bg.wasm`));
}

if (!process.argv.includes("--js-only")) compile();
await bundle();
