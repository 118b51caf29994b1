import { expect, test } from "vitest";
import { deleteFrom, insertInto, updateSet } from "../../src/statements.js";

test("values are parameters, and names are quoted", () => {
  expect(
    insertInto("chat.messages", [{ id: 1n, 'bo"dy': "x'; DROP" }]),
  ).toEqual({
    sql: 'INSERT INTO chat.messages ("id", "bo""dy") VALUES ($1, $2) RETURNING *',
    params: [1n, "x'; DROP"],
  });
  expect(updateSet("t", { id: 1, gone: null }, { a: 2 })).toEqual({
    sql: 'UPDATE t SET "a" = $1 WHERE "id" = $2 AND "gone" IS NULL',
    params: [2, 1],
  });
  expect(deleteFrom('"T".t', { id: 1 }).sql).toBe(
    'DELETE FROM "T".t WHERE "id" = $1',
  );
});

test("what would touch every row, or is no table, is refused", () => {
  const refused = { code: "INVALID_INPUT" };
  const check = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      expect(error).toMatchObject(refused);
      return;
    }
    throw new Error("it was not refused");
  };
  check(() => deleteFrom("t", {}));
  check(() => updateSet("t", {}, { a: 1 }));
  check(() => updateSet("t", { a: 1 }, {}));
  check(() => insertInto("t", []));
  check(() => insertInto("t", [{ a: 1 }, { b: 1 }]));
  for (const table of ["", "a b", "t; DROP TABLE t", "a.b.c", "t--", "'t'"])
    check(() => deleteFrom(table, { a: 1 }));
});
