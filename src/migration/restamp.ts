import type { Connection } from '../postgres/connection.ts';
import { isServerError, SQLSTATE } from '../postgres/sqlstate.ts';
import { unmoved } from './fence.ts';
import { lockGuard, type Premises } from './history.ts';
import type { Script } from './migration.ts';
import { type Found, readPremises } from './read.ts';
import { mayComment, parseStamp, type Stamp, writeStamp, writeStampBehind } from './stamp.ts';
import { sendAdmitted } from './unit.ts';
import type { MigrateOptions, Work } from './work.ts';

/** A comment that somebody writes by hand meanwhile is overwritten: ms. */
const MEANWHILE = 1000;

/** What a stamp is written with. */
export async function premisesOf(
  { options }: Work,
  connection: Connection,
  maxAge = MEANWHILE,
): Promise<Premises> {
  if (options.stamp === false) return { name: connection.database, comment: null, owner: false };
  return (await options.premises?.(maxAge)) ?? readPremises(connection);
}

/** The statement that writes the stamp; none, and a notice, where the database is not ours to comment on. */
export function stampSql(
  work: Work,
  { name, comment, owner }: Premises,
  stamp: Stamp,
  scripts: readonly Script[],
): string | undefined {
  if (work.options.stamp === false) return undefined;
  if (owner) {
    return scripts.some(mayComment) ? writeStampBehind(stamp) : writeStamp(name, comment, stamp);
  }
  const notice = 'no head stamp: the user that migrates does not own the database';
  if (!work.result.notices.includes(notice)) work.result.notices.push(notice);
  return undefined;
}

/** A stamp may lag behind, after a batch that failed half-way for instance; a history that is current mends it. */
export async function refreshStamp(work: Work, connection: Connection, found: Found): Promise<void> {
  if (!found.bootstrapped || work.options.stamp === false) return;
  const known = await premisesOf(work, connection, Infinity);
  if (!known.owner || isStamp(known, found)) return;
  // Whoever wrote it in the meantime may have mended it as well.
  const now = await readPremises(connection);
  if (isStamp(now, found)) return;
  await restamp(connection, work.options, writeStamp(found.database, now.comment, found), found);
}

function isStamp({ comment }: Premises, { count, fingerprint }: Stamp): boolean {
  const stamp = parseStamp(comment);
  return stamp?.count === count && stamp.fingerprint === fingerprint;
}

/** Writes the stamp, if the history is still as it was found; otherwise whoever moves it on will. */
async function restamp(
  connection: Connection,
  { history, admit }: Pick<MigrateOptions, 'history' | 'admit'>,
  comment: string,
  found: Found,
): Promise<void> {
  const opening = ['begin', lockGuard(history), unmoved(history, found)];
  try {
    await sendAdmitted(connection, opening, [comment, 'commit'], admit);
  } catch (error) {
    if (!connection.lost) await connection.query('rollback');
    if (!isServerError(error) || error.code !== SQLSTATE.invalidText) throw error;
  }
}
