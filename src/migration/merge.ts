import { basename } from 'node:path';
import { MpmError } from '../errors.ts';
import type { Migration } from './migration.ts';
import { compareNames, compareVersions } from './name.ts';

/**
 * Lists of migrations as one, in one order.
 * @throws MpmError MIGRATION_INVALID naming both files of each pair with the same version or name
 */
export function mergeMigrations(lists: readonly (readonly Migration[])[]): readonly Migration[] {
  const merged = lists.flat().sort((a, b) => compareNames(a.name, b.name));
  const clashes = merged.flatMap((second, index) => {
    const first = merged[index - 1];
    return first && compareVersions(first.version, second.version) === 0 ? [describe(first, second)] : [];
  });
  if (!clashes.length) return merged;
  throw new MpmError('MIGRATION_INVALID', clashes.slice(0, 5).join('\n'), {
    subject: clashes[0] ?? '',
    hint: 'Give the one that is applied nowhere yet another number. Core and the plugins of a tenant have one order.',
  });
}

function describe(first: Migration, second: Migration): string {
  const same = first.name === second.name ? 'have the same name' : `have the same version, ${second.version}`;
  return `${whereOf(first)} and ${whereOf(second)} ${same}`;
}

/** `plugins/meters/5_x.sql`, and of core just `core/5_x.sql`: what tells the two apart. */
function whereOf({ plugin, source, path }: Migration): string {
  const folder =
    plugin === undefined ? (source === 'tenant' ? "the tenant's own" : 'core') : `plugin ${plugin}`;
  return `${basename(path)} (${folder})`;
}
