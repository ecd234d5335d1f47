import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/define.ts';
import { fingerprintOf } from '../migration/fingerprint.ts';
import type { Migration } from '../migration/migration.ts';
import { type MigrationCache, type MigrationSet, readMigrations } from '../migration/source.ts';
import { readSeeds } from './seeds.ts';

/** Counted on when what is made of equal files changes. */
const FORMAT = 2;

/** What a new tenant is made of, all of it read and checked. */
export interface Blueprint {
  core: MigrationSet;
  seeds: readonly Migration[];
  cache: MigrationCache;
  /** Equal for equal files, an equal place of the history and an equal beginning: 16 hexadecimal digits. */
  key: string;
  /** Whether the files are still these; looks at all of them, unless they were looked at for this one. */
  isCurrent(): boolean;
}

type Content = Omit<Blueprint, 'isCurrent'>;

/** The files were changed after that what a tenant is made of was read. */
export class FilesChanged extends Error {
  constructor() {
    super('the migrations or seeds were changed in the meantime');
  }
}

/** A server that registers companies reads its files again only when they have changed. */
const lately = new Map<string, { as: string; content: Content }>();

/**
 * @param options.recall take what was read before, and let {@link Blueprint.isCurrent} say later whether it holds
 * @throws MpmError that names every problem of a folder at once, before any database is touched
 */
export async function readBlueprint(
  config: Config,
  { recall = false }: { recall?: boolean } = {},
): Promise<Blueprint> {
  const { migrations, history, databases } = config;
  const place = JSON.stringify([
    migrations.core,
    migrations.seeds,
    history.schema,
    history.table,
    databases.template,
  ]);
  const stateNow = (): string => `${stateOf(migrations.core)}\n${stateOf(migrations.seeds)}`;
  const known = lately.get(place);
  // A cache of its own for each: what of tenants is remembered by it is as old as the call.
  const copy = (content: Content, isCurrent = () => true): Blueprint => ({
    ...content,
    cache: new Map(content.cache),
    isCurrent,
  });
  if (recall && known) return copy(known.content, () => stateNow() === known.as);
  const as = stateNow();
  if (known?.as === as) return copy(known.content);
  const content = await read(config);
  lately.set(place, { as, content });
  return copy(content);
}

/** Differs when a file of the folder was changed, came or went. Empty when there is no such folder. */
function stateOf(folder: string): string {
  if (!existsSync(folder)) return '';
  const files = readdirSync(folder).toSorted();
  return files
    .map((file) => {
      const stat = statSync(join(folder, file), { throwIfNoEntry: false });
      // Of the times that of change is enough: nobody can set it back.
      return `${file} ${stat?.ino} ${stat?.size} ${stat?.ctimeMs}`;
    })
    .join('\n');
}

async function read(config: Config): Promise<Content> {
  const cache: MigrationCache = new Map();
  const core = await readMigrations(config.migrations.core, 'core', cache);
  const seeds = await readSeeds(config, cache);
  const { schema, table } = config.history;
  const base = config.databases.template ?? null;
  const parts = [FORMAT, base, schema, table, contentOf(core.migrations), contentOf(seeds)];
  const key = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
  return { core, seeds, cache, key };
}

/** Does this list make the same schema as core? */
export function isCore({ core }: Blueprint, migrations: readonly Migration[]): boolean {
  return contentOf(core.migrations) === contentOf(migrations);
}

function contentOf(migrations: readonly Migration[]): string {
  return fingerprintOf(migrations, migrations.length) ?? '';
}
