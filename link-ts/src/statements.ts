import { KalamError } from "./errors.js";
import type { Row } from "./types.js";

/** A statement and its parameters. */
export interface Statement {
  sql: string;
  params: unknown[];
}

/** `chat.messages`; each part may be quoted. */
const TABLE =
  /^("[^"]+"|[\p{L}_][\p{L}\p{N}_$]*)(\.("[^"]+"|[\p{L}_][\p{L}\p{N}_$]*))?$/u;

/** Rows of the same columns; a column that one lacks is left to its default in all of them. */
export function insertInto(table: string, rows: Row[]): Statement {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  if (columns.length === 0) throw invalid("there is nothing to insert");
  const lacking = rows.find((row) => columns.some((name) => !(name in row)));
  if (lacking)
    throw invalid("rows that are inserted together have the same columns");
  const params: unknown[] = [];
  const tuples = rows.map((row) => {
    const places = columns.map((name) => `$${params.push(row[name])}`);
    return `(${places.join(", ")})`;
  });
  const names = columns.map(quoted).join(", ");
  return {
    sql: `INSERT INTO ${named(table)} (${names}) VALUES ${tuples.join(", ")} RETURNING *`,
    params,
  };
}

export function updateSet(table: string, where: Row, set: Row): Statement {
  const params: unknown[] = [];
  const pairs = Object.entries(set).map(
    ([name, value]) => `${quoted(name)} = $${params.push(value)}`,
  );
  if (pairs.length === 0) throw invalid("there is nothing to set");
  const filter = conditions(where, params);
  return {
    sql: `UPDATE ${named(table)} SET ${pairs.join(", ")} WHERE ${filter}`,
    params,
  };
}

export function deleteFrom(table: string, where: Row): Statement {
  const params: unknown[] = [];
  const filter = conditions(where, params);
  return { sql: `DELETE FROM ${named(table)} WHERE ${filter}`, params };
}

/** `a = $1 AND b IS NULL`; appends what `$1` stands for. */
export function conditions(where: Row, params: unknown[]): string {
  const entries = Object.entries(where);
  // Every row is too much to say by leaving something out.
  if (entries.length === 0) throw invalid("`where` names no column");
  return entries
    .map(([name, value]) =>
      value === null
        ? `${quoted(name)} IS NULL`
        : `${quoted(name)} = $${params.push(value)}`,
    )
    .join(" AND ");
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The name, if it is one. */
export function named(table: string): string {
  if (!TABLE.test(table)) throw invalid(`\`${table}\` is no name of a table`);
  return table;
}

function invalid(message: string): KalamError {
  return new KalamError({ code: "INVALID_INPUT", message });
}
