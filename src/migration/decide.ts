import { MpmError } from '../errors.ts';
import { type Change, pick } from './amend.ts';
import type { Migration } from './migration.ts';
import { compareNames } from './name.ts';
import { findMigration } from './plan.ts';
import { type HistoryRow, statesOf } from './state.ts';

/** `checksums`: take changed files for what they are now. `missing`: forget what has no file any more. */
export type RepairKind = 'checksums' | 'missing';

/** What `repair` changes, of one kind (engine 25); all of that kind when no names are given. */
export function decideRepair(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  kind: RepairKind,
  names: readonly string[],
): Change[] {
  const entries = statesOf(migrations, rows);
  if (kind === 'missing') {
    const missing = entries.filter(({ state }) => state === 'missing');
    return pick(missing, names, 'missing').map(({ name }) => ({
      action: 'forget',
      name,
      why: 'repair: its file is gone',
    }));
  }
  const changed = entries.filter(({ state }) => state === 'changed');
  return pick(changed, names, 'changed').flatMap(({ name, migration }) =>
    migration
      ? [{ action: 'accept', name, migration, why: 'repair: the file as it is now is what was applied' }]
      : [],
  );
}

/** What `baseline --to` records: every migration up to that one which the history does not have; twice is a no-op. */
export function decideBaseline(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  to: string,
): Change[] {
  const last = findMigration(migrations, to).name;
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

/** What `resolve` changes: a failed or interrupted migration is said to be applied, or to be rolled back. */
export function decideResolve(
  rows: readonly HistoryRow[],
  name: string,
  as: 'applied' | 'rolled-back',
): Change[] {
  const open = rows.filter(({ state }) => state === 'failed' || state === 'running');
  const [row] = pick(open, [name], 'failed or interrupted');
  if (!row) throw new MpmError('USAGE', `${name} is not failed or interrupted here`);
  if (as === 'applied')
    return [{ action: 'mark-applied', name, why: 'resolve: a person says that it is applied' }];
  return [{ action: 'forget', name, why: 'resolve: a person says that it was rolled back' }];
}
