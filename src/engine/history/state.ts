import { createHash } from 'node:crypto';
import { upOf } from '../source/checksum.ts';
import type { Migration } from '../migration.ts';
import { compareNames, type Order } from '../source/name.ts';

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
  /** The bare statement that was begun, and whose end is not recorded; from 1. */
  statementBegun: number | null;
  /** The pid of the backend that worked at it last, where it is half-done. */
  backendPid: number | null;
  /** It is its `down` that is half-done. */
  reverting: boolean;
  /** The pid of the backend that is at work at it now. */
  atWork: number | null;
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
  | 'deferred'
  | 'changed'
  | 'missing'
  | 'out-of-order'
  | 'failed'
  | 'interrupted'
  | 'running'
  | 'future'
  | 'kept';

export interface StateEntry {
  name: string;
  state: MigrationState;
  migration?: Migration;
  row?: HistoryRow;
}

/** The source of rows whose plugin was uninstalled, while what it made was kept. */
export const KEPT = 'kept';

/**
 * What each migration's state is, by files and history, in their order.
 * @param migrations in that order
 * `future`: applied, without a file, and behind the last file: a newer release was here.
 * `out-of-order`: not applied, and in front of one that is. A plugin's are compared with its own alone, because
 * it may be installed at any time.
 * A withdrawn one that is not applied has none.
 * `deferred`: of the contract phase, not applied, and not to be applied now. One of that phase is never out of order.
 * `kept`: applied, of a plugin that was uninstalled, which left them.
 */
export function statesOf(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  order: Order,
  isDeferred: (migration: Migration) => boolean = () => false,
): StateEntry[] {
  const rowByName = new Map(rows.map((row) => [row.name, row]));
  const byName = new Map(migrations.map((migration) => [migration.name, migration]));
  const isPlugins = ({ source }: { source: string }) => source === 'plugin' || source === KEPT;
  const lastFiles = [
    migrations.findLast((migration) => !isPlugins(migration))?.name,
    migrations.findLast(isPlugins)?.name,
  ];
  const isFuture = (row: HistoryRow) => {
    const lastFile = lastFiles[isPlugins(row) ? 1 : 0];
    return lastFile === undefined || compareNames(row.name, lastFile, order) > 0;
  };
  const lastApplied = new Map<string | undefined, string>();
  for (const row of rows) {
    const migration = byName.get(row.name);
    // Which plugin a row without a file is of is not known.
    if (!migration && isPlugins(row)) continue;
    const last = lastApplied.get(migration?.plugin);
    if (last === undefined || compareNames(row.name, last, order) > 0)
      lastApplied.set(migration?.plugin, row.name);
  }

  const fromFiles = migrations.flatMap((migration): StateEntry[] => {
    const row = rowByName.get(migration.name);
    if (row) return [{ name: migration.name, state: stateOfRow(row, migration), migration, row }];
    if (migration.withdrawn) return [];
    if (migration.up.options.phase) {
      return [{ name: migration.name, state: isDeferred(migration) ? 'deferred' : 'pending', migration }];
    }
    const last = lastApplied.get(migration.plugin);
    const late = last !== undefined && compareNames(migration.name, last, order) < 0;
    return [{ name: migration.name, state: late ? 'out-of-order' : 'pending', migration }];
  });
  const withoutFile = rows
    .filter((row) => !byName.has(row.name))
    .map((row): StateEntry => {
      const state = row.source === KEPT ? 'kept' : isFuture(row) ? 'future' : 'missing';
      return { name: row.name, state, row };
    });
  if (!withoutFile.length) return fromFiles;
  return [...fromFiles, ...withoutFile].sort((a, b) => compareNames(a.name, b.name, order));
}

function stateOfRow(row: HistoryRow, migration: Migration): MigrationState {
  if (row.state === 'failed') return 'failed';
  if (row.state === 'running') return row.atWork === null ? 'interrupted' : 'running';
  if (!isUnchanged(row.checksum, migration)) return 'changed';
  return row.state;
}

/** Whether what was recorded is what the file's `up` is now; of a row of an older version, what the whole file is. */
export function isUnchanged(
  recorded: string,
  { checksum, fileChecksum, insteadOf }: Pick<Migration, 'checksum' | 'fileChecksum' | 'insteadOf'>,
): boolean {
  return recorded === fileChecksum || upOf(recorded) === upOf(checksum) || recorded === insteadOf;
}

const known = new WeakMap<readonly Migration[], string[]>();

/**
 * The fingerprint of a history that holds exactly the first `count` of these migrations in their order; the
 * server computes the same over its rows. Computed once per list of migrations, not once per tenant.
 */
export function fingerprintOf(migrations: readonly Migration[], count: number): string | undefined {
  let prefixes = known.get(migrations);
  if (!prefixes) {
    const hash = createHash('sha256');
    prefixes = [hash.copy().digest('hex')];
    for (const migration of migrations)
      prefixes.push(hash.update(fingerprintLine(migration)).copy().digest('hex'));
    known.set(migrations, prefixes);
  }
  return prefixes[count];
}

/** One row's part of the fingerprint: its `up`, not its `down`. */
export function fingerprintLine(row: {
  name: string;
  checksum: string;
  state?: HistoryRow['state'];
}): string {
  const settled = row.state === undefined || row.state === 'applied' || row.state === 'baseline';
  return `${row.name} ${upOf(row.checksum)}${settled ? '' : ` ${row.state}`}\n`;
}
