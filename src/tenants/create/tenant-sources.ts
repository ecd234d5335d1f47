import { createHash } from 'node:crypto';
import { existsSync, statSync, type Stats } from 'node:fs';
import { join, relative } from 'node:path';
import type { Config } from '../../config/define.ts';
import { suggest } from '../../config/environment.ts';
import { MpmError } from '../../errors.ts';
import { readFolder } from '../../engine/source/files.ts';
import { collecting, oneError } from '../../engine/source/problems.ts';
import { fingerprintOf } from '../../engine/history/state.ts';
import type { Migration } from '../../engine/migration.ts';
import { type FolderSet, type MigrationCache, readMigrations } from '../../engine/source/source.ts';
import { readSeeds } from './seeds.ts';

/** Migrations, and the seeds behind them. */
export interface Ingredients {
  migrations: readonly Migration[];
  seeds: readonly Migration[];
}

/** Counted on when what is made of equal files changes. */
const FORMAT = 2;

/** What a new tenant is made of, all of it read and checked. */
export interface TenantSources {
  core: FolderSet;
  seeds: readonly Migration[];
  cache: MigrationCache;
  /** What the template and the pool hold of it: what is in front of the first that each tenant runs for itself (fleet 45). */
  shared: Ingredients;
  /** Equal for equal shared files, an equal place of the history and an equal beginning: 16 hexadecimal digits. */
  key: string;
  /** Whether the files are still these; looks at all of them, unless they were looked at for this one. */
  isCurrent(): boolean;
  /** The same at any later time. */
  isStill(): boolean;
}

type Content = Omit<TenantSources, 'isCurrent' | 'isStill'>;

/** What is told when they were changed while something was made of them. */
export const CHANGED_MEANWHILE = 'the core folder or the seeds were changed while it was made';

/** The files were changed after that what a tenant is made of was read. */
export class FilesChanged extends Error {
  constructor() {
    super('the migrations or seeds were changed in the meantime');
  }
}

/** A server that registers companies reads its files again only when they have changed. */
const lately = new Map<string, { as: string; content: Content }>();

/**
 * @param options.recall take what was read before, and let {@link TenantSources.isCurrent} say later whether it holds
 * @throws MpmError that names every problem of a folder at once, before any database is touched
 */
export async function readTenantSources(
  config: Config,
  { recall = false }: { recall?: boolean } = {},
): Promise<TenantSources> {
  const { migrations, history, databases } = config;
  const place = JSON.stringify([
    migrations,
    history.schema,
    history.table,
    databases.template,
    config.perTenant,
  ]);
  const stateNow = (): string => `${stateOf(migrations.core)}\n${stateOf(migrations.seeds)}`;
  const known = lately.get(place);
  // A cache of its own for each: what of tenants is remembered by it is as old as the call.
  const copy = ({ as, content }: { as: string; content: Content }, looked: boolean): TenantSources => {
    const isStill = () => stateNow() === as;
    return {
      ...content,
      cache: new Map(content.cache),
      isCurrent: looked ? () => true : isStill,
      isStill,
    };
  };
  if (recall && known) return copy(known, false);
  const as = stateNow();
  if (known?.as === as) return copy(known, true);
  const read = { as, content: await readContent(config) };
  lately.set(place, read);
  return copy(read, true);
}

/** Differs when a file of the folder was changed, came or went. Empty when there is no such folder. */
function stateOf(folder: string): string {
  if (!existsSync(folder)) return '';
  const { paths, problems } = readFolder(folder);
  return [...paths, ...problems.map(({ subject = '' }) => relative(folder, subject))]
    .toSorted()
    .map((file) => {
      const stat = statOf(join(folder, file));
      // Of the times that of change is enough: nobody can set it back.
      return `${file} ${stat?.ino} ${stat?.size} ${stat?.ctimeMs}`;
    })
    .join('\n');
}

/** Undefined for what a link doesn't lead to, which reading the folder tells. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/**
 * The same for a fleet whose central database is open: what is made of them holds what is released of the contract
 * phase, and nothing else of it.
 */
export function forFleet(sources: TenantSources, { released }: Pick<Config, 'released'>): TenantSources {
  const contract = sources.core.migrations.filter(({ up }) => up.options.phase !== undefined);
  if (contract.length === 0) return sources;
  const names = contract.map(({ name }) => name).filter((name) => released?.has(name));
  const key = createHash('sha256')
    .update(JSON.stringify([sources.key, names]))
    .digest('hex')
    .slice(0, 16);
  return { ...sources, key };
}

async function readContent(config: Config): Promise<Content> {
  const cache: MigrationCache = new Map();
  const errors: MpmError[] = [];
  const core = await collecting(errors, () =>
    readMigrations(config.migrations.core, 'core', config.migrations, cache),
  );
  const seeds = await collecting(errors, () => readSeeds(config, cache));
  if (!core || !seeds) throw oneError(config.root, errors);
  const { schema, table } = config.history;
  const base = config.databases.template ?? null;
  const shared = sharedOf(core.migrations, seeds, config.perTenant);
  const snapshots = shared.migrations.flatMap(({ snapshot }) => (snapshot ? [snapshot.up.text] : []));
  const contents = [contentOf(shared.migrations), contentOf(shared.seeds), ...snapshots];
  const parts = [FORMAT, base, schema, table, ...contents];
  const key = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
  return { core, seeds, shared, cache, key };
}

/** @throws MpmError CONFIG_INVALID */
function sharedOf(
  migrations: readonly Migration[],
  seeds: readonly Migration[],
  except: readonly string[] = [],
): Ingredients {
  const all = [...migrations, ...seeds];
  const names = all.map(({ name }) => name);
  const unknown = except.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const meant = suggest(unknown, names);
    throw new MpmError(
      'CONFIG_INVALID',
      `templates.except: no core migration and no seed is called "${unknown}"`,
      {
        subject: unknown,
        hint:
          meant === undefined
            ? 'Give names without an extension, or take it out.'
            : `Did you mean "${meant}"?`,
      },
    );
  }
  const own = all.findIndex(({ name, share }) => share === 'per-tenant' || except.includes(name));
  const shared = own < 0 ? all : all.slice(0, own);
  return { migrations: shared.slice(0, migrations.length), seeds: shared.slice(migrations.length) };
}

/** Each tenant runs everything for itself, or there is nothing to run. */
export function sharesNothing({ shared }: TenantSources): boolean {
  return shared.migrations.length + shared.seeds.length === 0;
}

/** Has a copy of what is shared all that a tenant gets? */
export function isWhole({ core, seeds, shared }: TenantSources): boolean {
  return shared.migrations.length + shared.seeds.length === core.migrations.length + seeds.length;
}

/** Does this list make the same schema as core? */
export function isCore({ core }: TenantSources, migrations: readonly Migration[]): boolean {
  return contentOf(core.migrations) === contentOf(migrations);
}

function contentOf(migrations: readonly Migration[]): string {
  return fingerprintOf(migrations, migrations.length) ?? '';
}
