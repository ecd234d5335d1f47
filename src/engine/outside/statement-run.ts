import type { MigrationContext } from '../apply/batch.ts';
import type { Script, SqlScript } from '../migration.ts';
import type { Step } from '../sql/split.ts';

/** A script in work outside a transaction. */
export interface StatementRun {
  context: MigrationContext;
  /** Of a step that fails for what passes by itself. */
  retries: number;
  name: string;
  script: Script;
  /** None of a module, which is one step by itself. */
  steps: readonly Step[] | undefined;
  /** How many steps an earlier attempt has done. */
  done: number;
  /** No earlier attempt has left anything: the session is as it came. */
  isNew: boolean;
  /** Nobody has tried it before: where nothing of it was kept, its row goes. */
  isFirst: boolean;
  reverting: boolean;
  /** Its last record goes with the next message of the attempt. */
  carries: boolean;
  /** The statement that fails unless the history is what it is once this is claimed. */
  expects: string;
  /** Claims it. @param begun the number of the bare statement that comes first */
  claim(begun: number | undefined): readonly string[];
  /** Records its end. @param done how many statements the row says are done, and are */
  finish(done: { was: number; now: number }): readonly string[];
}

/** How far a run has come. */
export interface Progress {
  /** How many steps are done. */
  done: number;
  /** And in the history's row: that a bare one is done is recorded with what comes next. */
  recorded: number;
  /** What stands in front of the statement in its message. */
  inFront: string;
  /** How many statements of the message that failed were done. */
  answered: number;
}

export function doneOf({ done, recorded }: Progress): { was: number; now: number } {
  return { was: recorded, now: done };
}

export function textOf({ script }: StatementRun, { start, end }: Step): string {
  return (script as SqlScript).sql.slice(start, end);
}
