import { MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { literal } from '../../postgres/quote.ts';
import { isServerError, SQLSTATE } from '../../postgres/sqlstate.ts';
import { isGuard, unmoved } from './fence.ts';
import { alterHistory, FORMAT, tableName } from './history.ts';
import { lockGuard } from './lock-sql.ts';
import { waitForLock } from '../apply/lock.ts';
import type { Migration } from '../migration.ts';
import { type DatabaseState, readStampInput } from './read.ts';
import { stampOf, writeStamp } from './stamp.ts';
import type { HistoryRow } from './state.ts';
import { guardTrusted, isUntrusted, refuseUntrusted } from './trust.ts';
import { sendAdmitted } from '../apply/batch.ts';
import { type MigrateOptions, waitOf } from '../apply/attempt.ts';

/** Checksums of a history, the old one and the one that takes its place. */
type Renewal = Pick<HistoryRow, 'name' | 'checksum'> & { as: string };

/** Rows that an older version wrote, of files that are what they were: by their sections they are what they are now. */
function renewals(rows: readonly HistoryRow[], migrations: readonly Migration[]): Renewal[] {
  if (rows.length === 0) return [];
  const byChecksum = new Map(migrations.map((each) => [`${each.name} ${each.fileChecksum}`, each.checksum]));
  return rows.flatMap(({ name, checksum }) => {
    const as = byChecksum.get(`${name} ${checksum}`);
    return as === undefined ? [] : [{ name, checksum, as }];
  });
}

/** Whether an older version's history, or rows of one, wait to be made this version's. */
export function isOld(
  found: DatabaseState,
  rows: readonly HistoryRow[] | undefined,
  migrations: readonly Migration[],
): boolean {
  return found.bootstrapped && (found.format < FORMAT || renewals(rows ?? [], migrations).length > 0);
}

/**
 * Makes an older version's history this one's, under the lock, before the first write (engine 57): its columns, and the
 * checksums of files that are unchanged. Afterwards the history is to be read again, whatever came of it.
 * Throws MpmError HISTORY_UNTRUSTED, and what the server does: insufficient_privilege where the table is another role's.
 */
export async function takeOver(
  connection: Connection,
  found: DatabaseState,
  rows: readonly HistoryRow[],
  migrations: readonly Migration[],
  options: MigrateOptions,
): Promise<void> {
  const { history, pace } = options;
  const renewed = renewals(rows, migrations);
  const byName = new Map(renewed.map(({ name, as }) => [name, as]));
  const after = rows.map((row) => ({ ...row, checksum: byName.get(row.name) ?? row.checksum }));
  const { owner, comment } = await readStampInput(connection);
  const opening = [
    'begin isolation level read committed read write',
    `set local lock_timeout = ${pace.lockTimeout}`,
    lockGuard(history),
    ...guardTrusted(connection, history),
    unmoved(history, found),
  ];
  const statements = [
    alterHistory(history),
    ...renewed.map(
      ({ name, checksum, as }) =>
        `update ${tableName(history)} set checksum = ${literal(as)} where name = ${literal(name)} and checksum = ${literal(checksum)}`,
    ),
    ...(owner && options.stamp !== false ? [writeStamp(found.database, comment, stampOf(after))] : []),
    'commit',
  ];
  try {
    await sendAdmitted(connection, opening, statements, options.admit);
  } catch (error) {
    if (!connection.lost) await connection.query('rollback');
    // Sound on a closer look: the next reading goes on from here.
    if (isUntrusted(error)) return refuseUntrusted(connection, history);
    if (!isGuard(error)) throw error;
    await waitForLock(connection, history, waitOf(options));
  }
}

/**
 * As {@link takeOver} for who has nothing else to write. Where it cannot be done now, it is left to the next write.
 * Whether it was done, or another runner may have done it.
 */
export async function takeOverInPassing(...args: Parameters<typeof takeOver>): Promise<boolean> {
  try {
    await takeOver(...args);
    return true;
  } catch (error) {
    const [connection] = args;
    const codes: string[] = [SQLSTATE.insufficientPrivilege, SQLSTATE.lockNotAvailable, SQLSTATE.readOnly];
    const known = isServerError(error) && codes.includes(error.code);
    const busy = error instanceof MpmError && error.code === 'BUSY';
    if (connection.lost || !(known || busy)) throw error;
    return false;
  }
}
