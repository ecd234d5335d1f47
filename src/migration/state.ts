import type { Migration } from './migration.ts';
import { compareNames } from './name.ts';

/** A row of the history table (engine 20). Times are ISO 8601 in UTC, durations in ms. */
export interface HistoryRow {
  /** Order of application, from 1, without gaps but for what `down` took out. */
  position: number;
  name: string;
  version: string;
  checksum: string;
  state: 'running' | 'applied' | 'failed' | 'baseline';
  /** Outside a transaction: how many statements are done, of how many, and their hashes. */
  statementsDone: number;
  statements: number | null;
  statementHashes: string[] | null;
  startedAt: string;
  finishedAt: string | null;
  durationMs: number | null;
  toolVersion: string;
  runId: string | null;
  databaseUser: string;
  actor: string | null;
  source: string;
  error: string | null;
}

/** What is true of one migration in one database (engine 21). */
export type MigrationState =
  | 'applied'
  | 'baseline'
  | 'pending'
  | 'changed'
  | 'missing'
  | 'out-of-order'
  | 'failed'
  | 'interrupted'
  | 'future';

export interface StateEntry {
  name: string;
  state: MigrationState;
  migration?: Migration;
  row?: HistoryRow;
}

/**
 * What each migration's state is, by files and history, in the order of names.
 * `future`: applied, without a file, and behind the last file: a newer release was here.
 * `out-of-order`: not applied, and in front of one that is.
 */
export function statesOf(migrations: readonly Migration[], rows: readonly HistoryRow[]): StateEntry[] {
  const rowByName = new Map(rows.map((row) => [row.name, row]));
  const fileNames = new Set(migrations.map((migration) => migration.name));
  const lastFile = migrations.at(-1)?.name;
  const isFuture = (name: string) => lastFile === undefined || compareNames(name, lastFile) > 0;
  const lastApplied = rows
    .map((row) => row.name)
    .reduce<string | undefined>(
      (last, name) => (last && compareNames(last, name) > 0 ? last : name),
      undefined,
    );

  const fromFiles = migrations.map((migration): StateEntry => {
    const row = rowByName.get(migration.name);
    if (row) return { name: migration.name, state: stateOfRow(row, migration), migration, row };
    const late = lastApplied !== undefined && compareNames(migration.name, lastApplied) < 0;
    return { name: migration.name, state: late ? 'out-of-order' : 'pending', migration };
  });
  const withoutFile = rows
    .filter((row) => !fileNames.has(row.name))
    .map((row): StateEntry => ({ name: row.name, state: isFuture(row.name) ? 'future' : 'missing', row }));
  return [...fromFiles, ...withoutFile].sort((a, b) => compareNames(a.name, b.name));
}

function stateOfRow(row: HistoryRow, migration: Migration): MigrationState {
  if (row.state === 'failed') return 'failed';
  if (row.state === 'running') return 'interrupted';
  if (row.checksum !== migration.checksum) return 'changed';
  return row.state;
}
