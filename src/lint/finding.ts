import type { SourceExcerpt } from '../errors.ts';
import type { LockMode } from '../engine/sql/effects/lock-mode.ts';

/** How much a finding counts: an error ends `lint` with 4. */
export type Severity = 'warn' | 'error';

/** What a rule says of a place. */
export interface Remark {
  /** What this statement does, and to what; one sentence without its full stop. */
  message: string;
  /** The lock that makes it a hazard. */
  lock?: { mode: LockMode; table: string };
  /** SQL, or a comment where none helps. */
  safe: string;
}

export interface Finding {
  rule: string;
  severity: Severity;
  /** The migration's name. */
  migration: string;
  /** The file's absolute path; line and column count from 1, columns in code points. */
  file: string;
  line: number;
  column: number;
  /** What goes wrong, in a sentence: the same for all findings of the rule. */
  hazard: string;
  /** What this statement does. */
  message: string;
  /** What it locks, how, and what of an application waits meanwhile; absent: no lock is the hazard. */
  lock?: { mode: LockMode; table: string; blocks: string | null };
  /** How to do it safely: SQL with the names of this statement. */
  safe: string;
  /** The page about the rule. */
  page: string;
  excerpt: SourceExcerpt;
}

/** A finding that a comment allows. */
export interface AllowedFinding extends Finding {
  reason: string;
}
