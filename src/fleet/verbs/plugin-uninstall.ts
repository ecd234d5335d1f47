import { recordUninstalled, requireOwnPlugins } from '../../central/plugins.ts';
import type { Tenant } from '../../central/tenant.ts';
import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { amend } from '../../migration/amend.ts';
import { attemptDown } from '../../migration/migrate.ts';
import type { Migration } from '../../migration/migration.ts';
import { compareNames } from '../../migration/name.ts';
import { headOf } from '../../migration/plan.ts';
import { KEPT } from '../../migration/state.ts';
import { checkPluginName, readPlugin } from '../../tenant/plugins.ts';
import { readFleetFiles } from '../files.ts';
import type { RunReport } from '../report.ts';
import { type RunContext, type RunOptions, conductRun } from '../run.ts';
import { type Selection, requireSelection } from '../select.ts';
import { type Tried, failedBy, triedBy } from '../tried.ts';
import { inTurn } from '../turn.ts';
import { type TenantWork, withPlugin, workOn } from '../work.ts';

export interface UninstallOptions extends RunOptions {
  /** Take its migrations back first: what they made goes, and the data in it. */
  down?: boolean;
  /** Leave its tables and its rows of the history. */
  keep?: boolean;
}

/**
 * Takes a plugin from the selected tenants: in the database first, in the central database last, so that another
 * call finishes what a kill cut off. Without `down` or `keep`, a tenant that has its migrations is refused.
 * @throws MpmError USAGE; CENTRAL_INVALID where the product lists its tenants itself; FOLDER_MISSING; else as `up`
 */
export async function uninstallPlugin(
  config: Config,
  name: string,
  selection: Selection,
  options: UninstallOptions = {},
): Promise<RunReport> {
  const { down, keep, ...runOptions } = options;
  requireOwnPlugins({ config });
  checkPluginName(name);
  requireSelection(selection);
  if (down && keep) {
    throw new MpmError('USAGE', '--down and --keep contradict each other', { hint: 'Give one of them.' });
  }
  const files = await readFleetFiles(config);
  const { migrations: its } = await readPlugin(name, config, files.cache);
  const ours = new Set(its.map((migration) => migration.name));

  const clear = async ({ target, migrations, options: how }: TenantWork): Promise<Tried> => {
    if (down) {
      return triedBy(
        await attemptDown(target, { migrations: withAll(migrations, its) }, { ...how, plugin: name }),
      );
    }
    let head: string | null = null;
    const { changes } = await amend(target, { ...how, migrations, write: keep === true }, (rows) => {
      head = headOf(rows);
      return rows
        .filter((row) => ours.has(row.name) && row.source !== KEPT)
        .map((row) => ({
          action: 'source',
          name: row.name,
          source: KEPT,
          why: `${name} is uninstalled, and kept`,
        }));
    });
    const applied = changes.map((change) => change.name);
    const at = { from: head, to: head };
    if (keep || applied.length === 0) return { ...nothingDone(), ...at };
    return { ...failedBy(stillApplied(name, applied)), ...at, outcome: 'refused' };
  };
  const uninstall = async (tenant: Tenant, context: RunContext, work: TenantWork): Promise<Tried> => {
    const tried = await clear(work);
    const cleared = tried.outcome === 'reverted' || tried.outcome === 'current';
    if (!cleared) return tried;
    const removed = await inTurn(context.central, () => recordUninstalled(context.central, tenant.id, name));
    return removed && tried.outcome === 'current' ? { ...tried, outcome: 'reverted' } : tried;
  };

  return conductRun(
    config,
    {
      // As it can be typed again.
      verb: `plugin uninstall ${name}${down ? ' --down' : keep ? ' --keep' : ''}`,
      selection,
      attempt: (tenant, context, before) =>
        workOn(tenant, context, { files, before, as: withPlugin(name) }, (work) =>
          uninstall(tenant, context, work),
        ),
    },
    runOptions,
  );
}

/** A folder of its own may lack what was applied before there was one. */
function withAll(migrations: readonly Migration[], its: readonly Migration[]): readonly Migration[] {
  const there = new Set(migrations.map((migration) => migration.name));
  const lacking = its.filter((migration) => !there.has(migration.name));
  if (lacking.length === 0) return migrations;
  return [...migrations, ...lacking].sort((a, b) => compareNames(a.name, b.name));
}

function stillApplied(name: string, applied: readonly string[]): MpmError {
  const [first = '', ...others] = applied;
  const more = others.length ? ` and ${others.length} more` : '';
  return new MpmError('PLAN_REFUSED', `${first}${more} of the plugin "${name}" is applied here`, {
    aftermath: 'nothing was changed here',
    hint: `Take it back, with its data: mpm-migrate plugin uninstall ${name} --down --tenant {tenant}
Leave its tables as they are: mpm-migrate plugin uninstall ${name} --keep --tenant {tenant}`,
  });
}

function nothingDone(): Tried {
  const nothing = { from: null, to: null, applied: [], pending: [], notices: [] };
  return { outcome: 'current', ...nothing, retryable: false };
}
