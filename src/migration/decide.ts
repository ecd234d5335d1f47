import { MpmError } from '../errors.ts';
import type { Change } from './amend.ts';
import type { Migration } from './migration.ts';
import { compareNames } from './name.ts';
import { type HistoryRow, type StateEntry, statesOf } from './state.ts';

/** `checksums`: take changed files for what they are now. `missing`: forget what has no file any more. */
export type RepairKind = 'checksums' | 'missing';

/** What a kind of repair can mend here. */
export function repairable(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  kind: RepairKind,
): StateEntry[] {
  const wanted = kind === 'missing' ? 'missing' : 'changed';
  return statesOf(migrations, rows).filter(({ state }) => state === wanted);
}

/** What `repair` changes, of one kind (engine 25); of the names, those that are so here; all when none is given. */
export function decideRepair(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  kind: RepairKind,
  names: readonly string[],
): Change[] {
  return repairable(migrations, rows, kind)
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .flatMap(({ name, migration }): Change[] => {
      if (kind === 'missing') return [{ action: 'forget', name, why: 'repair: its file is gone' }];
      if (!migration) return [];
      return [
        { action: 'accept', name, migration, why: 'repair: the file as it is now is what was applied' },
      ];
    });
}

/** What `baseline --to` records: every migration up to `last` which the history does not have; twice is a no-op. */
export function decideBaseline(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  last: string,
): Change[] {
  const recorded = new Set(rows.map(({ name }) => name));
  return migrations
    .filter(({ name }) => compareNames(name, last) <= 0 && !recorded.has(name))
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
): Change[] {
  requireHalfDone(migrations, rows, name);
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
): void {
  const half = rows.filter(({ state }) => state === 'failed' || state === 'running').map((row) => row.name);
  if (half.includes(name)) return;
  const state = statesOf(migrations, rows).find((entry) => entry.name === name)?.state;
  const what = state === undefined ? 'there is no such migration' : `it is ${state}`;
  throw new MpmError('USAGE', `${name} is neither failed nor interrupted here: ${what}`, {
    subject: name,
    hint: half.length
      ? `Half-done here: ${half.join(', ')}.`
      : 'Nothing is half-done here. Look: mpm-migrate status --tenant {tenant}',
  });
}
