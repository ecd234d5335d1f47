import { existsSync } from 'node:fs';
import { recordUninstalled, requireOwnPlugins } from '../../central/plugins.ts';
import type { Config } from '../../config/define.ts';
import { errorReport, MpmError } from '../../errors.ts';
import { editHistory } from '../../engine/edit/edit-history.ts';
import { attemptDown } from '../../engine/apply/migrate.ts';
import type { Migration } from '../../engine/migration.ts';
import { compareNames, type Order } from '../../engine/source/name.ts';
import { headOf } from '../../engine/plan.ts';
import { rehearseDown } from '../../engine/edit/rehearse-down.ts';
import { type HistoryRow, KEPT } from '../../engine/history/state.ts';
import { checkPluginName, goWithoutLost, pluginFolder, readPlugin } from '../../tenants/folders/plugins.ts';
import { attemptOf, failedBy, type TenantAttempt } from '../attempt.ts';
import { readFleetFiles } from '../files.ts';
import type { RunReport } from '../report/report.ts';
import { type Selection, requireSelection } from '../select.ts';
import { serialize } from '../schedule/serialize.ts';
import type { Visit } from '../visit.ts';
import { type RunOptions, walk } from '../walk.ts';
import { withPlugin } from './plugin-install.ts';

export interface UninstallOptions extends RunOptions {
  /** Take its migrations back first: what they made goes, and the data in it. */
  down?: boolean;
  /** Also where later migrations, of other plugins or the tenant's own, mention what goes. */
  leaveLater?: boolean;
  /** Leave its tables and its rows of the history. */
  keep?: boolean;
}

/**
 * Takes a plugin from the selected tenants: in the database first, in the central database last, so that another
 * call finishes what a kill cut off. Without `down` or `keep`, a tenant that has its migrations is refused. With `keep`,
 * its folder may be gone.
 * @throws MpmError USAGE; CENTRAL_INVALID where the product lists its tenants itself; FOLDER_MISSING; else as `up`
 */
export async function uninstallPlugin(
  config: Config,
  name: string,
  selection: Selection,
  options: UninstallOptions = {},
): Promise<RunReport> {
  const { down, keep, leaveLater, ...runOptions } = options;
  requireOwnPlugins({ config });
  checkPluginName(name);
  requireSelection(selection);
  if (down && keep) {
    throw new MpmError('USAGE', "--down and --keep can't be combined", { hint: 'Use one of them.' });
  }
  if (leaveLater && !down)
    throw new MpmError('USAGE', '--leave-later requires --down', { hint: 'Without it, nothing is removed.' });
  const files = await readFleetFiles(config);
  const lost = !existsSync(pluginFolder(config, name));
  if (lost && !keep) throw withoutFolder(config, name, down === true);
  // Of other plugins of a tenant, the folders may be gone as well.
  if (lost) goWithoutLost(files.cache);
  const { migrations: its } = await readPlugin(name, config, files.cache);
  const ours = new Set(its.map((migration) => migration.name));

  const takeBack = async ({ target, migrations, options: how }: Visit): Promise<TenantAttempt> => {
    const all = withAll(migrations, its, config.migrations.order);
    const wanted = { ...how, plugin: name, leaveLater };
    await editHistory(target, { ...how, migrations: all, write: false }, async (rows) => {
      await rehearseDown(target, all, rows, wanted);
      return [];
    });
    const attempt = await attemptDown(target, { migrations: all }, wanted);
    const { error, applied } = attempt;
    if (!error || error.code === 'INTERRUPTED' || !applied.length) return attempt;
    const gone = `reverted before: ${applied.map((each) => each.name).join(', ')}`;
    const { aftermath, ...said } = errorReport(error);
    return {
      ...attempt,
      error: new MpmError(error.code, error.message, {
        ...said,
        cause: error.cause,
        aftermath: aftermath === undefined ? gone : `${aftermath}; ${gone}`,
      }),
    };
  };
  const clear = async (visit: Visit): Promise<TenantAttempt> => {
    if (down) return takeBack(visit);
    const { tenant, target, migrations, options: how, notice } = visit;
    // Of who has it, all are its own: what an earlier installation had left, too.
    const has = tenant.plugins?.includes(name) ?? false;
    // Without its folder, they are what no other file is of.
    const explained = new Set(migrations.filter(({ plugin }) => plugin !== name).map((each) => each.name));
    const isIts = (row: HistoryRow) =>
      lost ? has && row.source === 'plugin' && !explained.has(row.name) : ours.has(row.name);
    let head: string | null = null;
    const { changes } = await editHistory(target, { ...how, migrations, write: keep === true }, (rows) => {
      head = headOf(rows);
      const there = rows.filter((row) => isIts(row) && (has || row.source !== KEPT));
      const half = there.filter(({ state }) => state === 'failed' || state === 'running');
      if (keep && half.length) throw halfDone(name, half);
      return there.map((row) => ({
        action: 'source',
        name: row.name,
        source: KEPT,
        why: `${name} is uninstalled, and kept`,
      }));
    });
    const applied = changes.map((change) => change.name);
    if (lost && applied.length)
      notice(`${name} has no folder: what no file is of was kept as its migrations: ${applied.join(', ')}`);
    const at = { from: head, to: head };
    if (keep || applied.length === 0) return attemptOf({ outcome: 'current', ...at });
    return { ...failedBy(stillApplied(name, applied)), ...at, outcome: 'refused' };
  };
  const uninstall = async (visit: Visit): Promise<TenantAttempt> => {
    const { tenant, context } = visit;
    const attempt = await clear(visit).catch(refusedBy);
    const cleared = attempt.outcome === 'reverted' || attempt.outcome === 'current';
    if (!cleared || attempt.error) return attempt;
    const removed = await serialize(context.central, () =>
      recordUninstalled(context.central, tenant.id, name),
    );
    return removed && attempt.outcome === 'current' ? { ...attempt, outcome: 'reverted' } : attempt;
  };

  return walk(
    config,
    {
      // As it can be typed again.
      name: `plugin uninstall ${name}${down ? ' --down' : keep ? ' --keep' : ''}${leaveLater ? ' --leave-later' : ''}`,
      selection,
      files,
      ...(lost ? {} : { as: withPlugin(name) }),
      visit: uninstall,
    },
    runOptions,
  );
}

/** A folder of its own may lack what was applied before there was one. */
function withAll(
  migrations: readonly Migration[],
  its: readonly Migration[],
  order: Order,
): readonly Migration[] {
  const there = new Set(migrations.map((migration) => migration.name));
  const lacking = its.filter((migration) => !there.has(migration.name));
  if (lacking.length === 0) return migrations;
  return [...migrations, ...lacking].sort((a, b) => compareNames(a.name, b.name, order));
}

function withoutFolder(config: Config, name: string, down: boolean): MpmError {
  const folder = pluginFolder(config, name);
  const again = `mpm-migrate plugin uninstall ${name}`;
  return new MpmError(
    'FOLDER_MISSING',
    `There is no folder ${folder}: ${down ? '--down needs the migrations that were in it' : `what of the plugin "${name}" is applied isn't known`}`,
    {
      subject: name,
      aftermath: 'nothing was changed',
      hint: `Restore it from version control. Or keep the plugin's tables: ${again} --all --keep`,
    },
  );
}

/** What was found before anything was changed. */
function refusedBy(error: unknown): TenantAttempt {
  const refused = error instanceof MpmError && error.code === 'PLAN_REFUSED';
  return { ...failedBy(error), ...(refused ? { outcome: 'refused' as const } : {}) };
}

/** What is kept would say that it is whole. */
function halfDone(plugin: string, [first, ...others]: readonly HistoryRow[]): MpmError {
  const more = others.length ? ` and ${others.length} more` : '';
  const name = first?.name ?? '';
  return new MpmError(
    'PLAN_REFUSED',
    `${name}${more} of the plugin "${plugin}" is half-done: it cannot be kept`,
    {
      aftermath: 'nothing was changed here',
      hint: `Finish it: mpm-migrate resolve ${name} --tenant {tenant} --retry
Or revert it: mpm-migrate plugin uninstall ${plugin} --down --tenant {tenant}`,
    },
  );
}

function stillApplied(name: string, applied: readonly string[]): MpmError {
  const [first = '', ...others] = applied;
  const more = others.length ? ` and ${others.length} more` : '';
  return new MpmError('PLAN_REFUSED', `${first}${more} of the plugin "${name}" is applied here`, {
    aftermath: 'nothing was changed here',
    hint: `Revert it, with its data: mpm-migrate plugin uninstall ${name} --down --tenant {tenant}
Keep its tables: mpm-migrate plugin uninstall ${name} --keep --tenant {tenant}`,
  });
}
