import { existsSync } from 'node:fs';
import { centralStatus } from '../../central/schema/status.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { asMpmError, type MpmError } from '../../errors.ts';
import type { PassedBy } from '../../engine/source/files.ts';
import { listFolder } from '../../engine/source/layout.ts';
import { mergeMigrations, type MigrationCache, type MigrationSet } from '../../engine/source/source.ts';
import type { TenantSources } from '../../tenants/create/tenant-sources.ts';
import { folderNameOf, TenantFolders } from '../../tenants/folders/own-folder.ts';
import { pluginFolders, readPlugin } from '../../tenants/folders/plugins.ts';
import { type Add, addEach, quoted } from './findings.ts';
import type { Listed } from './tenant-findings.ts';

/** How the core folder's migrations lie, and what else is in it and in the seeds' (histories 1, 2). */
export function judgeCore(config: Config, { core, seeds }: TenantSources, add: Add): void {
  const { migrations, layout, passedBy } = core;
  const how = layout === '' ? '' : ` (${layout})`;
  add('files', 'ok', `core migrations: ${migrations.length}${how}, seeds: ${seeds.length}`);
  const snapshots = migrations.flatMap(({ snapshot }) => snapshot ?? []);
  for (const { name, replaces } of snapshots)
    add('files', 'ok', `new tenants come from ${name}, for ${replaces.length} migrations`);
  const covered = new Set(snapshots.flatMap(({ replaces }) => replaces.map(({ name }) => name)));
  const foreign = migrations.flatMap(({ name, up }) =>
    up.kind === 'foreign' && !covered.has(name) ? [{ name, tool: up.tool }] : [],
  );
  if (foreign.length) {
    const names = foreign.map(({ name }) => name);
    const tools = [...new Set(foreign.map(({ tool }) => tool))].join(', ');
    const message = `migrations of another tool, which can't be run here: ${quoted(names)}: ${tools}`;
    const remedy =
      'Before a new tenant is created: mpm-migrate baseline --snapshot TENANT --write; or write each as SQL of the same name beside it.';
    add('files', 'warning', message, remedy, names);
  }
  judgePassedBy('the core folder', passedBy, add);
  const { seeds: folder } = config.migrations;
  if (existsSync(folder)) judgePassedBy('the seeds folder', listFolder(folder).passedBy, add);
}

function judgePassedBy(where: string, passedBy: readonly PassedBy[], add: Add): void {
  const [known, unknown] = [true, false].map((wanted) => passedBy.filter((each) => each.known === wanted));
  if (known?.length)
    add('files', 'ok', `in ${where}, and not a migration: ${kindsOf(known)}`, undefined, pathsOf(known));
  if (!unknown?.length) return;
  const message = `not run, although in ${where}: ${kindsOf(unknown)}`;
  const remedy = 'If they are migrations, name them like the others; otherwise, move them to another folder.';
  add('files', 'warning', message, remedy, pathsOf(unknown));
}

function pathsOf(passedBy: readonly PassedBy[]): string[] {
  return passedBy.map(({ path }) => path);
}

/** `README.md (documentation); 1_a.mysql.sql and 3 more (for another database)`. */
function kindsOf(passedBy: readonly PassedBy[]): string {
  const kinds = new Set(passedBy.map(({ what }) => what));
  return [...kinds]
    .map((kind) => {
      const [first, ...more] = passedBy.filter(({ what }) => what === kind);
      return `${first?.path}${more.length ? ` and ${more.length} more` : ''} (${kind})`;
    })
    .join('; ');
}

/** Folders that stop their tenant, and those that are nobody's (fleet 39). */
export function judgeFolders(config: Config, tenants: readonly Tenant[], add: Add): void {
  const folders = new TenantFolders(config);
  if (folders.names.size === 0) return;
  const left = new Set(folders.names);
  const wrong: { id: string; error: MpmError }[] = [];
  for (const tenant of tenants) {
    try {
      const { own, claimable } = folders.look(tenant);
      const folder = own ?? claimable;
      if (folder) left.delete(folder.name);
      folders.find(tenant);
    } catch (error) {
      left.delete(folderNameOf(tenant.database));
      wrong.push({ id: tenant.id, error: asMpmError(error) });
    }
  }
  addEach(
    wrong,
    ({ id }) => id,
    ({ error: { message, hint } }) => add('folders', 'error', message, hint),
    (count, ids) =>
      add('folders', 'error', `${count} more folders like that`, 'mpm-migrate sync --check', ids),
  );
  if (left.size === 0) return;
  const names = [...left].toSorted();
  const remedy = `Move them out of ${config.migrations.tenants}, or assign one to a tenant: mpm-migrate sync --claim --tenant ID`;
  add('folders', 'warning', `no tenant's folders: ${quoted(names)}`, remedy, names);
}

/** Does something, whose failure is a finding. */
type Attempt = <T>(about: string, work: () => Promise<T>) => Promise<T | undefined>;

/** Every plugin that has a folder, that a tenant has, or that can be installed, read as `up` reads it (fleet 42). */
export async function judgePlugins(
  config: Config,
  { core, cache }: { core: MigrationSet; cache: MigrationCache },
  listed: Listed | undefined,
  { add, attempt }: { add: Add; attempt: Attempt },
): Promise<void> {
  const folders = (await attempt('files', async () => pluginFolders(config))) ?? [];
  const had = listed?.tenants.flatMap(({ plugins = [] }) => plugins) ?? [];
  const names = [...new Set([...folders, ...had, ...(listed?.installable ?? [])])].toSorted();
  let read = 0;
  for (const name of names) {
    const whole = await attempt('files', async () => {
      const { migrations, passedBy } = await readPlugin(name, config, cache);
      judgePassedBy(`the folder of plugin ${name}`, passedBy, add);
      return mergeMigrations([core.migrations, migrations], config.migrations);
    });
    if (whole) read += 1;
  }
  if (read) add('files', 'ok', `plugins: ${read}`);
}

/** The product's own central migrations, as `central up` would find them. */
export async function judgeCentralFiles(config: Config, add: Add): Promise<void> {
  const { sets } = await centralStatus(config);
  for (const { set, applied, pending, problems } of sets.filter((each) => each.set === 'central')) {
    for (const problem of problems) add(set, 'error', problem, 'To see what to do: mpm-migrate central up');
    if (pending.length)
      add(set, 'warning', `pending central migrations: ${pending.length}`, 'mpm-migrate central up');
    else if (applied && !problems.length) add(set, 'ok', `central migrations of your own: ${applied}`);
  }
}
