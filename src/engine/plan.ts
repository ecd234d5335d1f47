import { MpmError } from '../errors.ts';
import { shellWord } from '../shell-word.ts';
import { mentioning } from './sql/mention.ts';
import type { Migration } from './migration.ts';
import { isCalled, type Order } from './source/name.ts';
import {
  describeState,
  listNames,
  remedyFor,
  refuseForeign,
  refuseUnrunnable,
  type Refusal,
} from './remedy.ts';
import { refuseReordered } from './history/reordered.ts';
import { type HistoryRow, type MigrationState, type StateEntry, statesOf } from './history/state.ts';

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
  /** Resume this failed or interrupted migration and do nothing else, whatever else is there. */
  only?: string;
}

/** `up` goes on only when every migration is in another state than these. */
const REFUSED: ReadonlySet<MigrationState> = new Set([
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
  const entries = statesOf(migrations, rows, order);
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

  const runnable = (state: MigrationState): boolean =>
    state === 'pending' || (RUNNABLE_WHEN_PASSED.has(state) && passes(state) !== undefined);
  const pending = entries
    .flatMap((entry) => (runnable(entry.state) ? (entry.migration ?? []) : []))
    .filter((migration) => reached.has(migration));
  return {
    entries,
    pending,
    refusals: [...refusals, ...refuseUnrunnable(pending)],
    notices,
    head: headOf(rows),
    rows,
  };
}

const plansAfter = new WeakMap<readonly Migration[], Map<string, Plan>>();

/**
 * {@link planUp} for a history that is known to be exactly the first `count` of these migrations. Most databases of
 * a fleet have one and the same plan: it is made once.
 */
export function planAfter(migrations: readonly Migration[], count: number, options: PlanOptions = {}): Plan {
  const key = `${count} ${options.only === undefined} ${options.to ?? ''}`;
  const known = plansAfter.get(migrations) ?? new Map<string, Plan>();
  plansAfter.set(migrations, known);
  const plan = known.get(key) ?? makePlanAfter(migrations, count, options);
  known.set(key, plan);
  return plan;
}

function makePlanAfter(migrations: readonly Migration[], count: number, { to, only }: PlanOptions): Plan {
  const entries = migrations
    .filter(({ withdrawn }, index) => index < count || !withdrawn)
    .map((migration, index): StateEntry => ({
      name: migration.name,
      state: index < count ? 'applied' : 'pending',
      migration,
    }));
  // Nothing of such a history is half-done.
  const left = only === undefined ? migrations.slice(count) : [];
  const reached = new Set(reachOf(migrations, to));
  const pending = left.filter((migration) => !migration.withdrawn && reached.has(migration));
  const refusals = refuseUnrunnable(pending);
  const notices = withdrawnNotices(left);
  return { entries, pending, refusals, notices, head: migrations[count - 1]?.name ?? null };
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

/** What `down` would do, last applied first (engine 6). */
export interface DownPlan {
  steps: { migration: Migration; row: HistoryRow }[];
  refusals: Refusal[];
  head: string | null;
  rows: readonly HistoryRow[];
}

export interface DownOptions {
  /** How many to take back; 1 when neither is given. */
  steps?: number;
  /** Take back all that was applied after this one, by name or version; `0` takes back everything. */
  to?: string;
  /** As of {@link PlanOptions}. */
  order?: Order;
  /** Take back all of this plugin, wherever it stands in the history. */
  plugin?: string;
  /** Take back what this run applied, where nothing was applied after it. */
  ofRun?: string;
  /** Although later migrations mention what would go. */
  leaveLater?: boolean | undefined;
  /** Resume the half-done way back of this one, and do nothing else. */
  only?: string;
  force?: boolean;
  /** Takes back with the file as it is now what was changed. */
  acceptChanged?: boolean;
}

export function planDown(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  options: DownOptions = {},
): DownPlan {
  const byName = new Map(migrations.map((migration) => [migration.name, migration]));
  const states = new Map(
    statesOf(migrations, rows, options.order ?? 'version').map((entry) => [entry.name, entry]),
  );
  const { plugin } = options;
  const applied = rows
    // What an uninstalled plugin left is taken back only when that is asked for.
    .filter(({ name }) => states.get(name)?.state !== 'kept')
    .filter(({ name }) => plugin === undefined || byName.get(name)?.plugin === plugin)
    .sort((a, b) => b.position - a.position);
  const taken = takenBack(applied, options);

  const refused = taken.flatMap((row) => {
    const entry = states.get(row.name);
    if (!entry) return [];
    if (entry.state === 'future') return [{ ...entry, state: 'missing' as const }];
    const passed =
      options.force || options.only !== undefined || (options.acceptChanged && entry.state === 'changed');
    if (entry.state === 'missing' || (!passed && REFUSED.has(entry.state))) return [entry];
    return [];
  });
  const withoutDown = taken
    .filter((row) => byName.has(row.name) && !byName.get(row.name)?.down)
    .map((row) => row.name);
  const refusals = groupByState(refused);
  if (plugin !== undefined && !options.leaveLater && options.only === undefined)
    refusals.push(...refuseLater(migrations, rows, plugin, taken));
  if (options.ofRun !== undefined && options.only === undefined)
    refusals.push(...refuseGoneOn(applied, taken, options.ofRun));
  if (withoutDown.length) {
    refusals.push({
      state: 'applied',
      names: withoutDown,
      message: `${listNames(withoutDown)} has no down section`,
      remedy: 'add one, or write a new migration that reverts it',
    });
  }
  const steps = taken.flatMap((row) => {
    const migration = byName.get(row.name);
    return migration ? [{ migration, row }] : [];
  });
  return { steps, refusals, head: headOf(rows), rows };
}

function takenBack(applied: readonly HistoryRow[], options: DownOptions): readonly HistoryRow[] {
  const { only, ofRun, plugin } = options;
  if (only !== undefined) return applied.filter(({ name, reverting }) => name === only && reverting);
  if (ofRun !== undefined) return applied.filter(({ runId }) => runId === ofRun);
  return plugin === undefined ? applied.slice(0, depthOf(applied, options)) : applied;
}

/** What was applied on top of a run may need it. */
function refuseGoneOn(applied: readonly HistoryRow[], taken: readonly HistoryRow[], run: string): Refusal[] {
  const first = Math.min(...taken.map(({ position }) => position));
  const later = applied.filter(({ position, runId }) => position > first && runId !== run);
  const [last] = later;
  if (!last) return [];
  const names = later.map(({ name }) => name).toReversed();
  return [
    {
      state: 'applied',
      names,
      message: `${listNames(names)}: applied after run ${run}`,
      remedy: `to revert what came later as well: mpm-migrate down --tenant {tenant} --steps ${later.length + taken.length}`,
    },
  ];
}

/**
 * What other plugins, and the tenant's own migrations, have put on top (fleet 42). Core knows of no plugin: not everybody
 * has it.
 */
function refuseLater(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  plugin: string,
  taken: readonly HistoryRow[],
): Refusal[] {
  const first = Math.min(...taken.map(({ position }) => position));
  const byName = new Map(migrations.map((migration) => [migration.name, migration]));
  const its = taken.flatMap(({ name }) => byName.get(name) ?? []);
  const others = rows
    .filter(({ position, source }) => position > first && (source === 'plugin' || source === 'tenant'))
    .flatMap(({ name }) => byName.get(name) ?? [])
    .filter((migration) => migration.plugin !== plugin);
  const later = mentioning(its, others);
  if (!later.length) return [];
  const names = later.map(({ name }) => name);
  const plugins = [...new Set(later.flatMap((migration) => migration.plugin ?? []))];
  const own = later.some((migration) => migration.plugin === undefined);
  const remedies = [
    ...plugins.map(
      (name) => `Revert it first: mpm-migrate plugin uninstall ${name} --down --tenant {tenant}`,
    ),
    ...(own ? ["The tenant's own: revert it first, with down or with its own migration."] : []),
    `If they don't need it: mpm-migrate plugin uninstall ${plugin} --down --leave-later --tenant {tenant}`,
  ];
  const whose = plugins.length ? ` (${plugins.map((name) => `plugin ${name}`).join(', ')})` : '';
  return [
    {
      state: 'applied',
      names,
      message: `${listNames(names)}${whose}: applied later, and mentions what would be reverted`,
      remedy: remedies.join('\n'),
    },
  ];
}

function depthOf(applied: readonly HistoryRow[], options: DownOptions): number {
  if (options.to === undefined) return options.steps ?? 1;
  if (options.to === '0') return applied.length;
  const wanted = options.to;
  const [row, ...more] = calledSo(applied, wanted);
  if (row && !more.length) return applied.indexOf(row);
  if (row) throw ambiguous(wanted, [row, ...more]);
  throw new MpmError('USAGE', `--to ${wanted}: no such migration is applied here`, {
    hint: 'mpm-migrate status --tenant … lists what is applied; --to 0 reverts everything.',
  });
}

/** The migration that a user means by its name or its version; USAGE when there is none, or more than one. */
export function findMigration(migrations: readonly Migration[], wanted: string): Migration {
  const [found, ...more] = calledSo(migrations, wanted);
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

/** Those that a name or a version means; a whole name means nothing else. */
function calledSo<T extends { name: string }>(all: readonly T[], wanted: string): T[] {
  const named = all.find(({ name }) => name === wanted);
  return named ? [named] : all.filter(({ name }) => isCalled(name, wanted));
}

function ambiguous(wanted: string, found: readonly { name: string }[]): MpmError {
  const names = found.map(({ name }) => name).join(', ');
  return new MpmError('USAGE', `--to ${wanted}: more than one migration has that version: ${names}`, {
    subject: wanted,
    hint: `Give the whole name, for example --to ${shellWord(found[0]?.name ?? '')}.`,
  });
}

function groupByState(entries: readonly StateEntry[]): Refusal[] {
  const states = [...new Set(entries.map((entry) => entry.state))];
  return states.map((state) => {
    const same = entries.filter((entry) => entry.state === state);
    const names = same.map((entry) => entry.name);
    return { state, names, message: describeState(state, same), remedy: remedyFor(state, names) ?? '' };
  });
}
