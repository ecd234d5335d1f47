import { MpmError } from '../../errors.ts';
import type { Change } from './edit-history.ts';
import type { Migration } from '../migration.ts';
import { compareNames, type Order } from '../source/name.ts';
import { isStamped, parseStamp, stampOf } from '../history/stamp.ts';
import { type HistoryRow, type StateEntry, statesOf } from '../history/state.ts';

/**
 * `checksums`: take changed files for what they are now. `missing`: forget what has no file any more. `stamp`: let the
 * head stamp say again what the history says.
 */
export type RepairKind = 'checksums' | 'missing' | 'stamp';

/** What a kind of repair can mend here. */
export function repairable(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  kind: Exclude<RepairKind, 'stamp'>,
  order: Order,
): StateEntry[] {
  const wanted = kind === 'missing' ? 'missing' : 'changed';
  return statesOf(migrations, rows, order).filter(({ state }) => state === wanted);
}

/** What `repair` changes, of one kind (engine 25); of the names, those that are so here; all when none is given. */
export function decideRepair(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  kind: Exclude<RepairKind, 'stamp'>,
  names: readonly string[],
  order: Order,
): Change[] {
  return repairable(migrations, rows, kind, order)
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .flatMap(({ name, migration }): Change[] => {
      if (kind === 'missing') return [{ action: 'forget', name, why: 'repair: its file is gone' }];
      if (!migration) return [];
      return [
        { action: 'accept', name, migration, why: 'repair: the file as it is now is what was applied' },
      ];
    });
}

/** What `repair --stamp` changes: nothing where the stamp is what the history says. */
export function decideStamp(rows: readonly HistoryRow[], comment: string | null): Change[] {
  const stamp = parseStamp(comment);
  const { count, fingerprint } = stampOf(rows);
  if (stamp?.count === count && stamp.fingerprint === fingerprint) return [];
  const said = stamp
    ? `it said ${stamp.count} applied`
    : isStamped(comment)
      ? 'it was left open'
      : 'there was none';
  return [{ action: 'stamp', name: 'head stamp', why: `repair: ${count} applied; ${said}` }];
}

/** Whether `--to` means that nothing was applied. */
export function isNothing(to: string): boolean {
  return to === '0';
}

/**
 * What `baseline --to 0` records: that the history is empty because nothing was applied (engine 53).
 * @throws MpmError USAGE when the history holds something
 */
export function decideNothing(rows: readonly HistoryRow[], { emptied }: { emptied: boolean }): Change[] {
  if (rows.length) {
    throw new MpmError('USAGE', `--to 0: the history here holds ${rows.length}`, {
      subject: '0',
      aftermath: 'nothing was changed here',
      hint: 'A baseline removes nothing. To revert what is applied: mpm-migrate down --tenant {tenant} --to 0',
    });
  }
  return emptied ? [] : [{ action: 'empty', name: '0', why: 'baseline: nothing was applied' }];
}

/** What `baseline --to` records: every migration up to `last` which the history does not have; twice is a no-op. */
export function decideBaseline(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  last: string,
  order: Order,
  isLeft: (migration: Migration) => boolean = () => false,
): Change[] {
  const recorded = new Set(rows.map(({ name }) => name));
  return migrations
    .filter(({ name }) => compareNames(name, last, order) <= 0 && !recorded.has(name))
    .filter((migration) => !isLeft(migration))
    .map((migration) => ({
      action: 'record',
      name: migration.name,
      migration,
      why: `baseline up to ${last}`,
    }));
}

/** What a person can say about a migration that was left half-done. */
export type Resolution = 'applied' | 'rolled-back';

/**
 * What `resolve` changes: a failed or interrupted migration is said to be applied, or to be rolled back.
 * @throws MpmError USAGE when it is neither here
 */
export function decideResolve(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  name: string,
  as: Resolution,
  order: Order,
): Change[] {
  requireHalfDone(migrations, rows, name, order);
  if (as === 'rolled-back')
    return [{ action: 'forget', name, why: 'resolve: a person says that it was rolled back' }];
  const migration = migrations.find((each) => each.name === name);
  return [{ action: 'mark-applied', name, migration, why: 'resolve: a person says that it is applied' }];
}

/** @throws MpmError USAGE when that migration is neither failed nor interrupted, saying which ones are */
export function requireHalfDone(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  name: string,
  order: Order,
): void {
  const half = rows.filter(({ state }) => state === 'failed' || state === 'running').map((row) => row.name);
  if (half.includes(name)) return;
  const state = statesOf(migrations, rows, order).find((entry) => entry.name === name)?.state;
  const what = state === undefined ? 'there is no such migration' : `it is ${state}`;
  throw new MpmError('USAGE', `${name} isn't failed or interrupted here: ${what}`, {
    subject: name,
    hint: half.length
      ? `Half-done here: ${half.join(', ')}.`
      : 'Nothing is half-done here. To check: mpm-migrate status --tenant {tenant}',
  });
}
