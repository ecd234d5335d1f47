import { MpmError } from '../errors.ts';
import { type HistoryRow, statesOf } from './history/state.ts';
import type { Migration } from './migration.ts';
import { REFUSED, ambiguous, calledSo, groupByState, headOf } from './plan.ts';
import { type Refusal, listNames } from './remedy.ts';
import type { Order } from './source/name.ts';
import { mentioning } from './sql/mention.ts';

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
  /** As of `PlanOptions`. */
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
