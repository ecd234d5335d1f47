import { centralStatus } from '../central/status.ts';
import type { Config } from '../config/define.ts';
import { mergeMigrations } from '../migration/merge.ts';
import type { Blueprint } from '../tenant/blueprint.ts';
import { pluginFolders, readPlugin } from '../tenant/plugins.ts';
import type { Add } from './findings.ts';
import type { Listed } from './tenant-findings.ts';

/** Does something, whose failure is a finding. */
export type Attempt = <T>(about: string, work: () => Promise<T>) => Promise<T | undefined>;

/** Every plugin that has a folder, that a tenant has, or that can be installed, read as `up` reads it (fleet 42). */
export async function judgePlugins(
  config: Config,
  { core, cache }: Blueprint,
  listed: Listed | undefined,
  { add, attempt }: { add: Add; attempt: Attempt },
): Promise<void> {
  const folders = (await attempt('files', async () => pluginFolders(config))) ?? [];
  const had = listed?.tenants.flatMap(({ plugins = [] }) => plugins) ?? [];
  const names = [...new Set([...folders, ...had, ...(listed?.installable ?? [])])].toSorted();
  let read = 0;
  for (const name of names) {
    const whole = await attempt('files', async () => {
      const { migrations } = await readPlugin(name, config, cache);
      return mergeMigrations([core.migrations, migrations]);
    });
    if (whole) read += 1;
  }
  if (read) add('files', 'ok', `plugins: ${read}`);
}

/** The product's own central migrations, as `central up` would find them. */
export async function judgeCentralFiles(config: Config, add: Add): Promise<void> {
  const { sets } = await centralStatus(config);
  for (const { set, applied, pending, problems } of sets.filter((each) => each.set === 'central')) {
    for (const problem of problems)
      add(set, 'error', problem, 'What to do is said by: mpm-migrate central up');
    if (pending.length)
      add(
        set,
        'warning',
        `central migrations that are not applied: ${pending.length}`,
        'mpm-migrate central up',
      );
    else if (applied && !problems.length) add(set, 'ok', `central migrations of your own: ${applied}`);
  }
}
