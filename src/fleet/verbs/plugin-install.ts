import { withCentral } from '../../central/central.ts';
import { recordInstalled, requireInstallable, requireOwnPlugins } from '../../central/plugins.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { editHistory } from '../../engine/edit/edit-history.ts';
import { attemptUp } from '../../engine/apply/migrate.ts';
import { KEPT } from '../../engine/history/state.ts';
import { idWord } from '../../shell-word.ts';
import { readPlugin } from '../../tenants/folders/plugins.ts';
import { attemptOf, type TenantAttempt } from '../attempt.ts';
import { readFleetFiles } from '../files.ts';
import type { RunReport } from '../report/report.ts';
import { type Selection, requireSelection } from '../select.ts';
import { serialize } from '../schedule/serialize.ts';
import type { Visit } from '../visit.ts';
import { type RunOptions, walk } from '../walk.ts';

/**
 * Records that the selected tenants have a plugin, and applies its migrations, with those of core that come before
 * its last one. Recorded first: after a kill, `up` or another call goes on. Who has it already is left as it is.
 * @throws MpmError UNKNOWN_PLUGIN, FOLDER_MISSING, CENTRAL_INVALID where the product lists its tenants itself; else as
 *   `up`
 */
export async function installPlugin(
  config: Config,
  name: string,
  selection: Selection,
  options: RunOptions = {},
): Promise<RunReport> {
  requireOwnPlugins({ config });
  requireSelection(selection);
  await withCentral(config, (central) => requireInstallable(central, name));
  const files = await readFleetFiles(config);
  const { migrations: its } = await readPlugin(name, config, files.cache);
  const last = its.at(-1)?.name;
  const ours = new Set(its.map((migration) => migration.name));

  const install = async ({
    tenant,
    target,
    migrations,
    options: how,
    context,
    notice,
  }: Visit): Promise<TenantAttempt> => {
    await how.admit?.();
    await serialize(context.central, () => recordInstalled(context.central, tenant.id, name));
    const there = migrations.filter((migration) => ours.has(migration.name));
    if (there.length < ours.size) {
      const lacking = ours.size - there.length;
      notice(
        `a folder of its own lacks ${lacking} of ${name}: mpm-migrate sync --tenant ${idWord(tenant.id)}, then up`,
      );
    }
    if (last === undefined || there.length === 0) return attemptOf({ outcome: 'current' });
    // Left by an earlier installation: they are the plugin's own again.
    await editHistory(target, { ...how, migrations, write: true }, (rows) =>
      rows
        .filter((row) => row.source === KEPT && ours.has(row.name))
        .map((row) => ({
          action: 'source',
          name: row.name,
          source: 'plugin',
          why: `${name} is installed again`,
        })),
    );
    return attemptUp(target, { migrations }, { ...how, to: there.at(-1)?.name ?? last });
  };

  return walk(
    config,
    {
      name: `plugin install ${name}`,
      tellsBehind: true,
      selection,
      files,
      as: withPlugin(name),
      visit: install,
    },
    options,
  );
}

/** As what a row is worked on that need not name the plugin yet, or any more. */
export function withPlugin(name: string): (row: Tenant) => Tenant {
  return (row) => ({ ...row, plugins: [...new Set([...(row.plugins ?? []), name])].sort() });
}
