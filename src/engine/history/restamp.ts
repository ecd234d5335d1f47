import { randomBytes } from 'node:crypto';
import type { Connection } from '../../postgres/connection.ts';
import { isGuard, nobodyElse, unmoved } from './fence.ts';
import { type StampInput } from './history.ts';
import { lockGuard } from './lock-sql.ts';
import { requireWhole } from './lost.ts';
import type { Script } from '../migration.ts';
import { type DatabaseState, readStampInput, readState } from './read.ts';
import {
  mayComment,
  openedBy,
  type OpenStamp,
  parseStamp,
  type Stamp,
  writeStamp,
  writeStampBehind,
} from './stamp.ts';
import { sendAdmitted } from '../apply/batch.ts';
import type { MigrateOptions, AttemptContext } from '../apply/attempt.ts';

/** A comment that somebody writes by hand meanwhile is overwritten: ms. */
const MEANWHILE = 1000;

/** What a stamp is written with. */
export async function stampInputOf(
  work: AttemptContext,
  connection: Connection,
  maxAge = MEANWHILE,
): Promise<StampInput> {
  const { options, asked } = work;
  if (options.stamp === false) return { name: connection.database, comment: null, owner: false };
  const known = await options.stampInput?.(maxAge);
  if (known) return known;
  if (asked && performance.now() - asked.at <= maxAge) return asked.stampInput;
  const stampInput = await readStampInput(connection);
  work.asked = { stampInput, at: performance.now() };
  return stampInput;
}

/** As {@link requireWhole}, where a stamp is kept. */
export async function requireStamp(
  work: AttemptContext,
  connection: Connection,
  found: DatabaseState,
): Promise<'whole' | 'again'> {
  const { options } = work;
  if (options.stamp === false || options.allowNonEmpty) return 'whole';
  return requireWhole(connection, options, found, await stampInputOf(work, connection, Infinity));
}

/** The word by which this work's open stamp is known. */
export function openStamp(work: AttemptContext): OpenStamp {
  work.token ??= randomBytes(6).toString('hex');
  return { by: work.token };
}

/** The statement that writes the stamp; none, and a notice, where the database is not ours to comment on. */
export function stampSql(
  work: AttemptContext,
  { name, comment, owner }: StampInput,
  stamp: Stamp | OpenStamp,
  scripts: readonly Script[],
): string | undefined {
  if (work.options.stamp === false) return undefined;
  if (owner) {
    return scripts.some(mayComment) ? writeStampBehind(stamp) : writeStamp(name, comment, stamp);
  }
  const notice = "no head stamp: the migrating user doesn't own the database";
  if (!work.result.notices.includes(notice)) work.result.notices.push(notice);
  return undefined;
}

/**
 * A stamp may be open, after a kill for instance, or lag behind: a history that is current mends it. One that others
 * may be at work behind is left alone: they rely on its being open.
 */
export async function refreshStamp(
  work: AttemptContext,
  connection: Connection,
  found: DatabaseState,
): Promise<void> {
  if (!found.bootstrapped || work.options.stamp === false) return;
  // What was known before this work opened it says nothing.
  const known = work.opened ? undefined : await stampInputOf(work, connection, Infinity);
  if (known && (!known.owner || isStamp(known, found))) return;
  // Whoever wrote it in the meantime may have mended it as well.
  const now = await readStampInput(connection);
  if (!now.owner || isStamp(now, found)) return;
  const ours = work.token !== undefined && openedBy(now.comment) === work.token;
  const guards = [unmoved(work.options.history, found), ...(ours ? [] : [nobodyElse()])];
  await restamp(connection, work.options, guards, writeStamp(found.database, now.comment, found));
}

/** After work that was begun and not ended, before the connection ends: the stamp says where the history stands by now. */
export async function closeStamp(work: AttemptContext, connection: Connection): Promise<void> {
  if (!work.opened || connection.lost) return;
  await refreshStamp(work, connection, await readState(connection, work.options));
}

function isStamp({ comment }: StampInput, { count, fingerprint }: Stamp): boolean {
  const stamp = parseStamp(comment);
  return stamp?.count === count && stamp.fingerprint === fingerprint;
}

/** Writes the stamp, if the guards let it; otherwise whoever moves the history on will. */
async function restamp(
  connection: Connection,
  { history, admit }: Pick<MigrateOptions, 'history' | 'admit'>,
  guards: readonly string[],
  comment: string,
): Promise<void> {
  try {
    await sendAdmitted(connection, ['begin', lockGuard(history), ...guards], [comment, 'commit'], admit);
  } catch (error) {
    if (!connection.lost) await connection.query('rollback');
    if (!isGuard(error)) throw error;
  }
}
