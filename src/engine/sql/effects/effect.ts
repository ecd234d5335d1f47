import type { LockMode } from './lock-mode.ts';
import type { ColumnType, RelationName } from './tree.ts';

/** What decides where the statement alone doesn't say it; see `answerTo`. */
export type Question =
  /** Yes, when rows of the column's type there are written anew for that one (`rewritesRows`). */
  | { asks: 'type-change'; column: string; to: ColumnType }
  /** No, when each of the columns (those of the index) is NOT NULL there, or a valid check says so. */
  | { asks: 'not-null'; columns?: readonly string[]; index?: string }
  /** Yes, when one of the functions is volatile there. */
  | { asks: 'volatile'; functions: readonly string[] }
  /** Yes, when the type is a domain with a constraint there. */
  | { asks: 'domain'; type: ColumnType }
  /** No, when a valid check of the partition says what its bound says. */
  | { asks: 'partition-check' };

export type Answer = 'yes' | 'no' | Question;

/** What a clause of a statement does to one relation. */
export interface TableEffect {
  /** As the statement names it. */
  relation: RelationName;
  /** `index`: its table, which the statement doesn't name, is locked in the same mode, unless `lock` says otherwise. */
  object: 'table' | 'index' | 'view' | 'materialized view' | 'sequence';
  lock: LockMode;
  /** All rows are written anew, with all indexes, while it is locked. */
  rewrite: Answer;
  /** All rows are read while it is locked; where they are written anew that comes to no more. */
  scan: Answer;
  /** An index of all rows is built while it is locked. */
  builds: boolean;
  /** Its partitions and children, too: the statement has no ONLY. */
  partitions: boolean;
  /** What of the statement does it, in words: `alter column id type int8`. */
  clause: string;
}
