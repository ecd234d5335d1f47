import { MpmError } from '../errors.ts';
import { shellWord } from '../shell-word.ts';
import { refuseReordered } from './history/reordered.ts';
import { type HistoryRow, type MigrationState, type StateEntry, statesOf } from './history/state.ts';
import type { Migration } from './migration.ts';
import {
  type Refusal,
  describeState,
  listNames,
  refuseForeign,
  refuseUnrunnable,
  remedyFor,
} from './remedy.ts';
import { type Order, isCalled } from './source/name.ts';

/** What `up` would do to one database, decided from files and history alone (engine 8). */
export interface Plan {
  entries: StateEntry[];
  /** In the order in which they are run; with `force` also out-of-order ones and those to be resumed. */
  pending: Migration[];
  refusals: Refusal[];
  /** What `force` went past, and applied migrations of a newer release: told, not refused. */
  notices: string[];
  head: string | null;
  /** The history; absent when it is known to be just the first of the files. */
  rows?: readonly HistoryRow[];
}

export interface PlanOptions {
  /** Goes past all that holds a database back, and resumes what is half-done. */
  force?: boolean;
  /** Applies what is older than what is applied. */
  outOfOrder?: boolean;
  /** Goes on beside applied files that were changed, or are missing. */
  acceptChanged?: boolean;
  /** Go no further than this migration: a name or a version. */
  to?: string;
  /** What the migrations are ordered by; by default their versions. */
  order?: Order;
  /** `contract`: what is deferred is applied as well (confidence 9). */
  phase?: 'contract' | undefined;
  /** Of the contract phase, those that are as any other by now: by name. */
  released?: ReadonlySet<string> | undefined;
  /** Resume this failed or interrupted migration and do nothing else, whatever else is there. */
  only?: string;
}

/** `up` goes on only when every migration is in another state than these. */
export const REFUSED: ReadonlySet<MigrationState> = new Set([
  'failed',
  'interrupted',
  'running',
  'out-of-order',
  'changed',
  'missing',
]);

/** Of these, what is gone past is run. */
const RUNNABLE_WHEN_PASSED: ReadonlySet<MigrationState> = new Set([
  'failed',
  'interrupted',
  'running',
  'out-of-order',
]);

export function planUp(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  options: PlanOptions = {},
): Plan {
  const { order = 'version' } = options;
  const entries = statesOf(migrations, rows, order, (migration) => isDeferred(migration, options));
  const reached = new Set(reachOf(migrations, options.to));

  const held = groupByState(entries.filter((entry) => REFUSED.has(entry.state)));
  const { only } = options;
  if (only !== undefined) {
    const half = entries.filter(
      ({ name, state }) => name === only && ['failed', 'interrupted', 'running'].includes(state),
    );
    const pending = half.flatMap((entry) => entry.migration ?? []);
    return { entries, pending, refusals: refuseForeign(pending), notices: [], head: headOf(rows), rows };
  }
  const passes = (state: MigrationState): string | undefined =>
    options.outOfOrder && state === 'out-of-order'
      ? 'out of order'
      : options.acceptChanged && (state === 'changed' || state === 'missing')
        ? '--accept-changed'
        : options.force
          ? '--force'
          : undefined;
  const refusals = held.filter(({ state }) => passes(state) === undefined);
  const notices = held.flatMap(({ state, message }) => {
    const why = passes(state);
    return why === undefined ? [] : [`${why}: ${message}`];
  });
  const reordered = refuseReordered(rows, order);
  if (!options.force) refusals.push(...reordered);
  else notices.push(...reordered.map(({ message }) => `--force: ${message}`));
  const future = entries.filter((entry) => entry.state === 'future').length;
  if (future)
    notices.push(
      `${future} applied, newer than all files here, without a file: a newer release applied it, or the file is gone`,
    );

  const known = new Set(rows.map(({ name }) => name));
  notices.push(...withdrawnNotices(migrations.filter(({ name }) => !known.has(name))));
  notices.push(...deferredNotices(entries));

  const runnable = (state: MigrationState): boolean =>
    state === 'pending' || (RUNNABLE_WHEN_PASSED.has(state) && passes(state) !== undefined);
  const wanted = entries
    .flatMap((entry) => (runnable(entry.state) ? (entry.migration ?? []) : []))
    .filter((migration) => reached.has(migration));
  const pending = rows.length ? wanted : fromSnapshot(wanted);
  return {
    entries,
    pending,
    refusals: [...refusals, ...refuseUnrunnable(pending)],
    notices,
    head: headOf(rows),
    rows,
  };
}

/** Nothing is released. */
export const NONE_RELEASED: ReadonlySet<string> = new Set();

/** Of the contract phase, and neither released nor asked for (confidence 9). */
export function isDeferred(
  { name, up }: Migration,
  { phase, released = NONE_RELEASED }: Pick<PlanOptions, 'phase' | 'released'>,
): boolean {
  return up.options.phase !== undefined && phase === undefined && !released.has(name);
}

/** {@link planUp} for a history that is known to be exactly the first `count` of these migrations. */
export function makePlanAfter(migrations: readonly Migration[], count: number, options: PlanOptions): Plan {
  const { to, only } = options;
  const isLeft = (migration: Migration): boolean => isDeferred(migration, options);
  const entries = migrations
    .filter(({ withdrawn }, index) => index < count || !withdrawn)
    .map((migration, index): StateEntry => ({
      name: migration.name,
      state: index < count ? 'applied' : isLeft(migration) ? 'deferred' : 'pending',
      migration,
    }));
  // Nothing of such a history is half-done.
  const left = only === undefined ? migrations.slice(count) : [];
  const reached = new Set(reachOf(migrations, to));
  const wanted = left.filter(
    (migration) => !migration.withdrawn && !isLeft(migration) && reached.has(migration),
  );
  const pending = count ? wanted : fromSnapshot(wanted);
  const refusals = refuseUnrunnable(pending);
  const notices = [...withdrawnNotices(left), ...deferredNotices(entries)];
  return { entries, pending, refusals, notices, head: migrations[count - 1]?.name ?? null };
}

/** Where nothing is applied, the furthest snapshot takes the place of what it stands for (histories 7). */
function fromSnapshot(wanted: readonly Migration[]): Migration[] {
  const names = new Set(wanted.map(({ name }) => name));
  const last = wanted.findLast(({ snapshot }) => snapshot?.replaces.every(({ name }) => names.has(name)));
  if (!last?.snapshot) return [...wanted];
  const { path, up, replaces } = last.snapshot;
  for (const { name } of replaces) names.delete(name);
  const { untouched: _, ...identity } = last;
  return [{ ...identity, path, up, replaces }, ...wanted.filter(({ name }) => names.has(name))];
}

/** Those up to a limit, a name or a version. */
function reachOf(migrations: readonly Migration[], to: string | undefined): readonly Migration[] {
  if (to === undefined) return migrations;
  return migrations.slice(0, migrations.indexOf(findMigration(migrations, to)) + 1);
}

/** Of migrations that are not applied. */
function withdrawnNotices(migrations: readonly Migration[]): string[] {
  const names = migrations.filter(({ withdrawn }) => withdrawn).map(({ name }) => name);
  if (!names.length) return [];
  const what =
    names.length === 1
      ? 'a copy of a file that is no longer in core'
      : 'copies of files that are no longer in core';
  return [`${listNames(names)}: ${what}, and skipped. mpm-migrate sync --prune removes it`];
}

function deferredNotices(entries: readonly StateEntry[]): string[] {
  const names = entries.flatMap(({ name, state }) => (state === 'deferred' ? [name] : []));
  if (!names.length) return [];
  return [`${listNames(names)}: deferred (phase:contract). To apply: mpm-migrate up --all --phase contract`];
}

/** The migration that was applied last. */
export function headOf(rows: readonly HistoryRow[]): string | null {
  const settled = rows.filter((row) => row.state === 'applied' || row.state === 'baseline');
  return (
    settled.reduce<HistoryRow | undefined>(
      (last, row) => (last && last.position > row.position ? last : row),
      undefined,
    )?.name ?? null
  );
}

/** The migration that a user means by its name or its version; USAGE when there is none, or more than one. */
export function findMigration(migrations: readonly Migration[], wanted: string): Migration {
  const [found, ...more] = meantBy(migrations, wanted);
  if (found && !more.length) return found;
  if (found) throw ambiguous(wanted, [found, ...more]);
  const near = migrations.slice(-3).map((migration) => migration.name);
  throw new MpmError('USAGE', `--to ${wanted}: no such migration`, {
    subject: wanted,
    hint: near.length
      ? `The latest are ${near.join(', ')}.`
      : 'There are no migrations yet: mpm-migrate create <name>.',
  });
}

/** Of a snapshot, the last one that it stands for. */
function meantBy(migrations: readonly Migration[], wanted: string): Migration[] {
  const found = calledSo(migrations, wanted);
  if (found.length) return found;
  return migrations.filter(({ snapshot }) => snapshot && isCalled(snapshot.name, wanted));
}

/** Those that a name or a version means; a whole name means nothing else. */
export function calledSo<T extends { name: string }>(all: readonly T[], wanted: string): T[] {
  const named = all.find(({ name }) => name === wanted);
  return named ? [named] : all.filter(({ name }) => isCalled(name, wanted));
}

export function ambiguous(wanted: string, found: readonly { name: string }[]): MpmError {
  const names = found.map(({ name }) => name).join(', ');
  return new MpmError('USAGE', `--to ${wanted}: more than one migration has that version: ${names}`, {
    subject: wanted,
    hint: `Give the whole name, for example --to ${shellWord(found[0]?.name ?? '')}.`,
  });
}

export function groupByState(entries: readonly StateEntry[]): Refusal[] {
  const states = [...new Set(entries.map((entry) => entry.state))];
  return states.map((state) => {
    const same = entries.filter((entry) => entry.state === state);
    const names = same.map((entry) => entry.name);
    return { state, names, message: describeState(state, same), remedy: remedyFor(state, names) ?? '' };
  });
}
