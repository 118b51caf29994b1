import type { Field, Row } from "./types.js";

/** How cells become values of JavaScript. */
export interface ValueOptions {
  /** TIMESTAMP and DATETIME as `Date` (to the millisecond), or as the number of microseconds since 1970. */
  timestamps: "date" | "number";
}

type Convert = (cell: unknown) => unknown;

const MICROS_PER_MILLI = 1000;

const toBigInt: Convert = (cell) =>
  typeof cell === "string" || typeof cell === "number" ? BigInt(cell) : cell;
const toDate: Convert = (cell) =>
  typeof cell === "number" ? new Date(cell / MICROS_PER_MILLI) : cell;
// NaN and the infinities, which JSON does not have.
const toNumber: Convert = (cell) =>
  typeof cell === "string" ? Number(cell) : cell;
const toBytes: Convert = (cell) =>
  Array.isArray(cell) ? Uint8Array.from(cell) : cell;
const toNumbers: Convert = (cell) =>
  Array.isArray(cell) ? cell.map(toNumber) : cell;

/** None for types whose cells are values already. */
function conversion(field: Field, options: ValueOptions): Convert | undefined {
  if (typeof field.data_type !== "string")
    return "Embedding" in field.data_type ? toNumbers : undefined;
  switch (field.data_type) {
    case "BigInt":
      return toBigInt;
    case "Timestamp":
    case "DateTime":
      return options.timestamps === "date" ? toDate : undefined;
    case "Float":
    case "Double":
      return toNumber;
    case "Bytes":
      return toBytes;
    default:
      return undefined;
  }
}

/** Turns rows of one schema into objects with values. */
export class RowReader {
  readonly #conversions: [name: string, convert: Convert][] = [];
  readonly #fields: Field[];

  constructor(fields: Field[], options: ValueOptions) {
    this.#fields = fields;
    for (const field of fields) {
      const convert = conversion(field, options);
      if (convert) this.#conversions.push([field.name, convert]);
    }
  }

  /** Converts the cells of an object that was just parsed, in place. */
  convert<T = Row>(row: Row): T {
    for (const [name, convert] of this.#conversions) {
      const cell = row[name];
      if (cell !== null && cell !== undefined) row[name] = convert(cell);
    }
    return row as T;
  }

  /** An object of cells that stand in the order of the schema. */
  object<T = Row>(cells: unknown[]): T {
    const row: Row = {};
    for (const [index, field] of this.#fields.entries())
      row[field.name] = cells[index];
    return this.convert<T>(row);
  }
}

/** A value of JavaScript as it stands in a request. */
export function toCell(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isFinite(value))
    return String(value);
  if (value instanceof Date) return value.getTime() * MICROS_PER_MILLI;
  if (value instanceof Uint8Array) return Array.from(value);
  if (ArrayBuffer.isView(value))
    return Array.from(value as unknown as ArrayLike<number>);
  if (Array.isArray(value)) return value.map(toCell);
  // JSON columns take text.
  if (typeof value === "object" && value !== null) return JSON.stringify(value);
  return value;
}

/** Parameters as the JSON array that goes into a request. */
export function toParams(
  params: readonly unknown[] | undefined,
): string | undefined {
  return params?.length ? JSON.stringify(params.map(toCell)) : undefined;
}
