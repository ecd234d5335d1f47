import type { Connection, DatabaseTarget } from '../postgres/connection.ts';
import type { Applier, HistoryTable } from './history.ts';
import type { MigrationOptions, SqlScript } from './migration.ts';

/** Times in ms; 0 means none. */
export interface Timeouts {
  lockTimeout: number;
  statementTimeout: number;
  idleInTransactionTimeout: number;
}

export interface Bench {
  connection: Connection;
  target: DatabaseTarget;
  history: HistoryTable;
  applier: Applier;
  timeouts: Timeouts;
}

/** One migration on its bench, and the statements around it. */
export interface Unit {
  bench: Bench;
  name: string;
  opening: string[];
  closing: string[];
}

// Explicit, because a role's default_transaction_* settings must not decide.
export const BEGIN = 'begin isolation level read committed read write';

/** Puts the session back as it was (engine 7), inside the transaction because behind a pooler the next one is a stranger's. */
export const RESTORE = ['reset session authorization', 'reset role', 'reset all', 'discard temp'];

/** As SET LOCAL: session-level settings leak to strangers behind a pooler (engine 15). */
export function setTimeouts(timeouts: Timeouts, options: MigrationOptions): string {
  const setting = (name: string, ms: number) => `pg_catalog.set_config('${name}', '${ms}', true)`;
  return `select ${setting('lock_timeout', options.lockTimeout ?? timeouts.lockTimeout)}, ${setting('statement_timeout', options.statementTimeout ?? timeouts.statementTimeout)}, ${setting('idle_in_transaction_session_timeout', timeouts.idleInTransactionTimeout)}`;
}

/** The unit's message, and where the script begins in it. */
export function compose(unit: Unit, script: SqlScript): { message: string; prefix: number } {
  const head = `${unit.opening.join(';\n')};\n`;
  // The line break ends a comment in the script's last line.
  return { message: `${head}${script.sql}\n;${unit.closing.join(';\n')}`, prefix: head.length };
}
