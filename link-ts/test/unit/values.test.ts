import { expect, test } from "vitest";
import type { DataType, Field } from "../../src/types.js";
import { RowReader, toCell, toParams } from "../../src/values.js";

function read(
  data_type: DataType,
  cell: unknown,
  timestamps: "date" | "number" = "date",
) {
  const fields: Field[] = [{ name: "c", data_type, index: 0 }];
  return new RowReader(fields, { timestamps }).object([cell]).c;
}

test("cells become values by the type of their column", () => {
  expect(read("BigInt", "-9223372036854775808")).toBe(-(2n ** 63n));
  expect(read("Double", "NaN")).toBeNaN();
  expect(read("Float", "-Infinity")).toBe(Number.NEGATIVE_INFINITY);
  expect(read("Double", 0.1)).toBe(0.1);
  expect(read("Timestamp", -1_000)).toEqual(new Date(-1));
  expect(read("Timestamp", -1_000, "number")).toBe(-1_000);
  expect(read("Date", 19_000)).toBe(19_000);
  expect(read("Bytes", [0, 255])).toEqual(Uint8Array.of(0, 255));
  expect(read({ Decimal: { precision: 10, scale: 2 } }, "12.50")).toBe("12.50");
  expect(read({ Embedding: 2 }, [1, "NaN"])).toEqual([1, Number.NaN]);
  expect(read("Text", "NaN")).toBe("NaN");
});

test("null stays null whatever the type", () => {
  for (const type of [
    "BigInt",
    "Double",
    "Timestamp",
    "Bytes",
    "Text",
  ] as const)
    expect(read(type, null)).toBeNull();
});

test("values become cells that lose nothing", () => {
  expect(toCell(2n ** 63n - 1n)).toBe("9223372036854775807");
  expect(toCell(Number.NaN)).toBe("NaN");
  expect(toCell(new Date(5))).toBe(5_000);
  expect(toCell(Uint8Array.of(1, 2))).toEqual([1, 2]);
  expect(toCell(Float32Array.of(0.5))).toEqual([0.5]);
  expect(toCell(undefined)).toBeNull();
  expect(toCell({ a: 1 })).toBe('{"a":1}');
  expect(toCell([1n, [2n]])).toEqual(["1", ["2"]]);
  expect(toParams([])).toBeUndefined();
  expect(toParams([1n, "x"])).toBe('["1","x"]');
});
