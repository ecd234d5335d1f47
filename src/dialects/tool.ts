import type { Migration } from '../engine/migration.ts';
import type { Order } from '../engine/source/name.ts';

/**
 * One entry of another tool's table, with all that it says of the file that it means.
 * `one`: that migration. `up-to`: it and all before. `below`: all up to there, whether or not there is a file for it.
 */
export interface AppliedElsewhere {
  /** As the tool has it, for messages. */
  applied: string;
  reach: 'one' | 'up-to' | 'below';
  /** The file's name without its extension, where the tool keeps that. */
  name?: string;
  /** What the tool keeps of a file beside its name, the surest first: see `keysOf`. */
  keys?: readonly string[];
  /** Its version, where the tool keeps one. */
  version?: string;
  /** What is said behind the version, where the tool keeps that too. */
  words?: string;
  /** The words may be parted otherwise: `AddMeters` for `add-meters`. */
  joined?: boolean;
  /** Greater than those of what was applied before, where the table says so. */
  rank?: number;
  /** Two of the tool's files may share a version; here one of them must have got another number. */
  shared?: boolean;
}

export type Row = readonly (string | null | undefined)[];

/** A tool's table as it makes it, and what its rows mean. */
export interface Tool {
  /** What its table is called by default; behind it, what older versions called it. */
  tables: readonly [string, ...string[]];
  /** The schema that it makes for its table, where that is one of its own. */
  schema?: string;
  /**
   * All columns of its table, of each version in the wild: `name type, …`. A length is compared where one is given;
   * `varchar()` has none.
   */
  shapes: readonly string[];
  /** A table that it keeps beside its own, and tools with the same table don't. */
  mark?: string;
  /** The columns that are read, in this order. */
  columns: readonly string[];
  /** Those that not all versions have; read behind the others where they are there. */
  optional?: readonly string[];
  /** The only orders in which it applies files; absent: any. */
  orders?: readonly Order[];
  /** Its migrations aren't files that can be matched: only whether all tenants have the same of them. */
  heads?: true;
  /** A row that says that something is wrong: a person must look first. */
  dirty?(row: Row): string | undefined;
  entries(rows: readonly Row[]): AppliedElsewhere[];
  /** What an entry's `keys` may find a file by; asked once for each migration. Reads files, and runs none. */
  keysOf?(migration: Migration, beside: Beside): readonly string[];
}

/** What a file that lies beside many migrations says; read and parsed once. @param parse gets an empty text where it can't be read */
export type Beside = <T>(path: string, parse: (text: string) => T) => T;

const EXTENSION = /\.(?:ts|mts|cts|js|mjs|cjs|sql)$/;

export const byName = ([written]: Row): AppliedElsewhere => {
  const name = String(written);
  return { applied: name, reach: 'one', name: name.replace(EXTENSION, '') };
};

export const byVersion =
  (reach: AppliedElsewhere['reach']) =>
  ([version]: Row): AppliedElsewhere => ({ applied: String(version), reach, version: String(version) });

/**
 * Entries in the order in which they were applied.
 * @param rankOf of the row; NaN: it doesn't say
 */
export function ranked(
  rows: readonly Row[],
  entryOf: (row: Row) => AppliedElsewhere,
  rankOf: (row: Row) => number,
): AppliedElsewhere[] {
  const all = rows.map((row) => {
    const rank = rankOf(row);
    return { ...entryOf(row), ...(Number.isNaN(rank) ? {} : { rank }) };
  });
  return all.toSorted((a, b) => (a.rank ?? 0) - (b.rank ?? 0));
}

/** The column as a number, or as a time in ms, NaN where it is absent. */
export const numberAt = (at: number) => (row: Row) => Number(row[at] ?? NaN);
export const timeAt = (at: number) => (row: Row) => Date.parse(row[at] ?? '');
