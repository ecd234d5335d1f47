import type { Connection } from '../postgres/connection.ts';
import { isServerError, SQLSTATE } from '../postgres/sqlstate.ts';
import { GUARD, guard, type HistoryTable, lockGuard, tableName } from './history.ts';
import type { Script } from './migration.ts';
import type { Found } from './read.ts';
import { mayComment, parseStamp, type Stamp, writeStamp, writeStampBehind } from './stamp.ts';
import type { Work } from './work.ts';

/** The statement that writes the stamp; none, and a notice, where the database is not ours to comment on. */
export function stampSql(
  work: Work,
  found: Found,
  stamp: Stamp,
  scripts: readonly Script[],
): string | undefined {
  if (work.options.stamp === false) return undefined;
  if (found.owner) {
    return scripts.some(mayComment)
      ? writeStampBehind(stamp)
      : writeStamp(found.database, found.comment, stamp);
  }
  const notice = 'no head stamp: the user that migrates does not own the database';
  if (!work.result.notices.includes(notice)) work.result.notices.push(notice);
  return undefined;
}

/** A stamp may lag behind, after a batch that failed half-way for instance; a history that is current mends it. */
export async function refreshStamp(work: Work, connection: Connection, found: Found): Promise<void> {
  const stamp = parseStamp(found.comment);
  if (!found.owner || !found.bootstrapped || work.options.stamp === false) return;
  if (stamp?.count === found.count && stamp.fingerprint === found.fingerprint) return;
  const { history } = work.options;
  await restamp(connection, history, writeStamp(found.database, found.comment, found), found);
}

/** Writes the stamp, if the history is still as it was found; otherwise whoever moves it on will. */
async function restamp(
  connection: Connection,
  history: HistoryTable,
  comment: string,
  found: Found,
): Promise<void> {
  const unmoved = guard(
    `(select count(*) = ${found.count} and coalesce(max(position), 0) = ${found.last} from ${tableName(history)})`,
    GUARD.moved,
  );
  try {
    await connection.send(`begin;\n${lockGuard(history)};\n${unmoved};\n${comment};\ncommit`);
  } catch (error) {
    if (!connection.lost) await connection.query('rollback');
    if (!isServerError(error) || error.code !== SQLSTATE.invalidText) throw error;
  }
}
