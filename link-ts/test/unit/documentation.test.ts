// Every export has an example, and examples are right.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";

const folder = join(import.meta.dirname, "../..");
const entries = [
  "src/entry/browser.ts",
  "src/entry/node.ts",
  "src/entry/workerd.ts",
  "src/react.tsx",
  "src/tanstack-db.ts",
].map((name) => join(folder, name));

const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile(join(folder, "tsconfig.doc.json"), (name) =>
    readFileSync(name, "utf8"),
  ).config,
  ts.sys,
  folder,
);

interface Example {
  name: string;
  code: string;
}

/** Examples of what the entries export; those without one are under `lacking`. */
function collect(): { examples: Example[]; lacking: string[] } {
  const program = ts.createProgram(entries, options);
  const checker = program.getTypeChecker();
  const examples: Example[] = [];
  const lacking: string[] = [];
  for (const entry of entries) {
    const module = checker.getSymbolAtLocation(
      program.getSourceFile(entry) as ts.Node,
    ) as ts.Symbol;
    for (const exported of checker.getExportsOfModule(module)) {
      const isAlias = exported.flags & ts.SymbolFlags.Alias;
      const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
      const tags = symbol
        .getJsDocTags()
        .filter(({ name }) => name === "example");
      if (tags.length === 0) lacking.push(symbol.name);
      for (const { text } of tags) {
        const code = ts.displayPartsToString(text);
        const [, block = ""] = /```tsx?\n(.*)```/s.exec(code) ?? [];
        examples.push({ name: symbol.name, code: block });
      }
    }
  }
  return { examples, lacking };
}

/** A module that has all examples, each in a function of its own. */
function moduleOf(examples: Example[]): string {
  const prelude = `
    import { useState, type ReactNode } from "react";
    import { createCollection } from "@tanstack/db";
    import * as link from "./src/entry/browser.js";
    import { Auth, createClient, KalamError } from "./src/entry/browser.js";
    import type { ${names(entries[0] as string).join(", ")} } from "./src/entry/browser.js";
    import { KalamProvider, useKalam, useLiveQuery, useQuery, type LiveQueryState, type QueryState } from "./src/react.js";
    import { kalamCollectionOptions, type KalamCollectionConfig, type RowKey } from "./src/tanstack-db.js";
    interface Message { id: bigint; room: string; body: string }
    interface Room { name: string }
    declare const client: link.KalamClient;
    declare const url: string;
    declare const room: string;
    declare function freshToken(): Promise<string>;
    declare function render(rows: readonly Message[]): void;
    declare function Chat(): ReactNode;`;
  const functions = examples.map(({ name, code }, index) => {
    const body = code
      .split("\n")
      .filter((line) => !line.startsWith("import "))
      .join("\n")
      // A component's return value.
      .replace(/^<KalamProvider/m, "void <KalamProvider");
    return `async function ${name}_${index}() {\n${body}\n}`;
  });
  return [prelude, ...functions].join("\n");
}

/** Types that the index exports, which examples name. */
function names(entry: string): string[] {
  const program = ts.createProgram([entry], options);
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(
    program.getSourceFile(entry) as ts.Node,
  ) as ts.Symbol;
  const values = ["Auth", "createClient", "KalamError"];
  return checker
    .getExportsOfModule(module)
    .map(({ name }) => name)
    .filter((name) => !values.includes(name));
}

const { examples, lacking } = collect();

test("every export has an example", () => {
  expect(lacking).toEqual([]);
  expect(examples.length).toBeGreaterThan(30);
});

test("examples compile", () => {
  const name = join(folder, "examples.tsx");
  const text = moduleOf(examples);
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => path === name || fileExists(path);
  host.getSourceFile = (path, ...rest) =>
    path === name
      ? ts.createSourceFile(path, text, ts.ScriptTarget.ES2022)
      : getSourceFile(path, ...rest);
  const program = ts.createProgram(
    [name, join(folder, "src/virtual.d.ts")],
    options,
    host,
  );
  const file = program.getSourceFile(name);
  const faults = [
    ...program.getSyntacticDiagnostics(file),
    ...program.getSemanticDiagnostics(file),
  ].map(({ messageText, start = 0 }) => {
    const line = text.slice(0, start).split("\n").length;
    const message = ts.flattenDiagnosticMessageText(messageText, "\n");
    return `${text.split("\n")[line - 1]}: ${message}`;
  });
  expect(faults).toEqual([]);
});
