import type { Connection } from '../../postgres/connection.ts';
import { type DatabaseTarget, withConnection } from '../../postgres/connect.ts';
import { literal } from '../../postgres/quote.ts';
import { databaseError } from '../../postgres/sqlstate.ts';
import { isGuard, rowIs, unmoved } from '../history/fence.ts';
import {
  deleteRow,
  GUARD,
  guard,
  type HistoryTable,
  insertClaim,
  markEmptied,
  tableName,
  unmarkEmptied,
} from '../history/history.ts';
import { lockGuard } from '../history/lock-sql.ts';
import { selectAttempts, waitForAttempt, waitForLock } from '../apply/lock.ts';
import type { Migration } from '../migration.ts';
import { bootstrap, type DatabaseState, readStampInput, readRows, readState } from '../history/read.ts';
import { positionOf, stampOf, writeStamp } from '../history/stamp.ts';
import type { HistoryRow, KEPT } from '../history/state.ts';
import { isOld, takeOver } from '../history/takeover.ts';
import { guardTrusted, isUntrusted, journalTable, refuseUntrusted } from '../history/trust.ts';
import { sendAdmitted } from '../apply/batch.ts';
import { type MigrateOptions, waitOf } from '../apply/attempt.ts';

/** One change of the history alone: nothing is run. */
export type Change =
  | { action: 'record'; name: string; migration: Migration; why: string }
  | { action: 'accept'; name: string; migration: Migration; why: string }
  /** Without a file there is no checksum to take over. */
  | { action: 'mark-applied'; name: string; migration?: Migration | undefined; why: string }
  | { action: 'forget'; name: string; why: string }
  /** That the history is empty because nothing is applied. */
  | { action: 'empty'; name: string; why: string }
  /** The head stamp alone, from what the history says. */
  | { action: 'stamp'; name: string; why: string }
  /** Whose row it is: of a plugin, or left by one that was uninstalled. */
  | { action: 'source'; name: string; source: 'plugin' | typeof KEPT; why: string };

/** What `repair`, `baseline` and `resolve` did, or would do. */
export interface HistoryEdit {
  changes: Change[];
  written: boolean;
}

/**
 * Changes the history of one database: decides from its rows, and writes in one transaction under the lock, each
 * change journalled, the head stamp with it (engine 25, 30). With `write` false it only decides, and takes no lock.
 * Throws MpmError: BUSY when another runner is at work, CONNECTION and the like.
 */
export async function editHistory(
  target: DatabaseTarget,
  options: MigrateOptions & { write: boolean; migrations?: readonly Migration[] },
  decide: (
    rows: readonly HistoryRow[],
    connection: Connection,
    found: DatabaseState,
  ) => Change[] | Promise<Change[]>,
): Promise<HistoryEdit> {
  return withConnection(target, async (connection) => {
    for (;;) {
      const found = await readState(connection, options);
      const rows = found.bootstrapped ? await readRows(connection, options.history) : [];
      const changes = await decide(rows, connection, found);
      if (!options.write || changes.length === 0) return { changes, written: false };
      if (rows.some(({ atWork }) => atWork !== null)) {
        await waitForAttempt(connection, options.history, waitOf(options));
        continue;
      }
      if (!found.bootstrapped && (await bootstrap(connection, options.history, options.admit)) === 'locked') {
        await waitForLock(connection, options.history, waitOf(options));
        continue;
      }
      const { migrations = [] } = options;
      if (isOld(found, rows, migrations)) {
        await takeOver(connection, found, rows, migrations, options);
        continue;
      }
      const outcome = await write(connection, found, rows, changes, options);
      if (outcome === 'done') return { changes, written: true };
      await waitForLock(connection, options.history, waitOf(options));
    }
  }).catch((error: unknown) => {
    throw databaseError(error, target.database ?? '');
  });
}

async function write(
  connection: Connection,
  found: DatabaseState,
  rows: readonly HistoryRow[],
  changes: readonly Change[],
  options: MigrateOptions,
): Promise<'done' | 'again'> {
  const { history } = options;
  const after = rowsAfter(rows, changes);
  const { owner, comment } = await readStampInput(connection);
  const journal = journalName(history);
  const changed = new Set(changes.map(({ name }) => name));
  const opening = [
    'begin isolation level read committed read write',
    lockGuard(history),
    ...guardTrusted(connection, history),
    unmoved(history, positionOf(rows)),
    ...rows.filter(({ name }) => changed.has(name)).map((row) => rowIs(history, row)),
    guard(`not exists (${selectAttempts(history)})`, GUARD.moved),
  ];
  const statements = [
    createJournal(journal),
    ...guardTrusted(connection, { ...history, table: journalTable(history) }),
    ...(rows.length === 0 && after.length > 0 ? [unmarkEmptied(history)] : []),
    ...changes.flatMap((change) => [
      journalEntry(journal, history, change, options),
      ...changeSql(history, change, found, changes, options),
    ]),
    ...(after.length === 0 && rows.length > 0 ? [markEmptied(history)] : []),
    ...(owner ? [writeStamp(found.database, comment, stampOf(after))] : []),
    'commit',
  ];
  try {
    await sendAdmitted(connection, opening, statements, options.admit);
    return 'done';
  } catch (error) {
    if (!connection.lost) await connection.query('rollback');
    if (isUntrusted(error)) {
      await refuseUntrusted(connection, history);
      return 'again';
    }
    if (isGuard(error)) return 'again';
    throw error;
  }
}

/** The rows as they will be, in the order of their positions. */
export function rowsAfter(
  rows: readonly HistoryRow[],
  changes: readonly Change[],
): Pick<HistoryRow, 'name' | 'checksum' | 'state'>[] {
  const byName = new Map<string, Pick<HistoryRow, 'name' | 'checksum' | 'state'>>(
    rows.map((row) => [row.name, row]),
  );
  for (const change of changes) {
    const { name } = change;
    const row = byName.get(name);
    if (change.action === 'forget') byName.delete(name);
    else if (change.action === 'record')
      byName.set(name, { name, checksum: change.migration.checksum, state: 'baseline' });
    else if (change.action === 'source' || change.action === 'empty' || change.action === 'stamp') continue;
    else if (row && change.action === 'accept')
      byName.set(name, { ...row, checksum: change.migration.checksum });
    else if (row)
      byName.set(name, {
        ...row,
        checksum: change.migration?.checksum ?? row.checksum,
        state: 'applied',
      });
  }
  return [...byName.values()];
}

function changeSql(
  history: HistoryTable,
  change: Change,
  found: DatabaseState,
  changes: readonly Change[],
  options: MigrateOptions,
): string[] {
  const table = tableName(history);
  const named = `where name = ${literal(change.name)}`;
  switch (change.action) {
    case 'forget':
      return [deleteRow(history, change.name)];
    case 'empty':
      return [markEmptied(history)];
    case 'stamp':
      return [];
    case 'source':
      return [`update ${table} set source = ${literal(change.source)} ${named}`];
    case 'accept':
      return [`update ${table} set checksum = ${literal(change.migration.checksum)} ${named}`];
    case 'mark-applied': {
      const checksum = change.migration ? `checksum = ${literal(change.migration.checksum)}, ` : '';
      return [
        `update ${table} set ${checksum}state = 'applied', error = null, finished_at = pg_catalog.clock_timestamp() ${named}`,
      ];
    }
    case 'record': {
      const position = found.last + 1 + changes.filter(({ action }) => action === 'record').indexOf(change);
      const { run, toolVersion, actor } = options;
      return [
        insertClaim(history, change.migration, position, { run, toolVersion, actor }),
        `update ${table} set state = 'baseline', finished_at = started_at ${named}`,
      ];
    }
  }
}

/** Beside the history: what was changed by hand, and what was there before. */
function journalName(history: HistoryTable): string {
  return tableName({ ...history, table: journalTable(history) });
}

function createJournal(journal: string): string {
  return `create table if not exists ${journal} (
  id bigint generated always as identity primary key,
  at timestamptz not null default pg_catalog.clock_timestamp(),
  action text not null,
  name text not null,
  why text not null,
  before jsonb,
  database_user text not null default session_user,
  actor text,
  run_id text
)`;
}

function journalEntry(
  journal: string,
  history: HistoryTable,
  change: Change,
  options: MigrateOptions,
): string {
  const before = `(select pg_catalog.to_jsonb(h) from ${tableName(history)} h where name = ${literal(change.name)})`;
  return `insert into ${journal} (action, name, why, before, actor, run_id)
values (${literal(change.action)}, ${literal(change.name)}, ${literal(change.why)}, ${before}, ${literal(options.actor ?? null)}, ${literal(options.run)})`;
}
