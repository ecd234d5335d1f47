import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import type { Change } from './amend.ts';
import type { Migration } from './migration.ts';
import { compareVersions, versionOf } from './name.ts';
import type { HistoryRow } from './state.ts';

/** How another tool's table tells what is applied (`baseline --from`). */
interface Tool {
  /** Where its table is by default, as a regclass text. */
  tables: string[];
  /** One column `applied`: the name or the version as text, in the order of application. */
  select(table: string): string;
  /** Rows that say that something is wrong: a person must look first. */
  dirty?(table: string): string;
}

const byColumn =
  (column: string, order: string, where = 'true') =>
  (table: string) =>
    `select ${column}::text as applied from ${table} where ${where} order by ${order}`;

/** The tools whose fleets can be taken over. */
export const TOOLS = {
  kysely: { tables: ['kysely_migration'], select: byColumn('name', 'timestamp, name') },
  knex: { tables: ['knex_migrations'], select: byColumn('name', 'id') },
  'node-pg-migrate': { tables: ['pgmigrations'], select: byColumn('name', 'run_on, id') },
  dbmate: { tables: ['schema_migrations'], select: byColumn('version', 'version') },
  'golang-migrate': {
    tables: ['schema_migrations'],
    // It keeps the last version only: all before it are applied.
    select: byColumn("'<=' || version", 'version'),
    dirty: (table) => `select version::text as name from ${table} where dirty`,
  },
  flyway: {
    tables: ['flyway_schema_history'],
    select: byColumn('version', 'installed_rank', 'success and version is not null'),
    dirty: (table) => `select script as name from ${table} where not success`,
  },
  prisma: {
    tables: ['_prisma_migrations'],
    select: byColumn('migration_name', 'started_at', 'finished_at is not null and rolled_back_at is null'),
    dirty: (table) =>
      `select migration_name as name from ${table} where finished_at is null and rolled_back_at is null`,
  },
  laravel: { tables: ['migrations'], select: byColumn('migration', 'id') },
} satisfies Record<string, Tool>;

export type ToolName = keyof typeof TOOLS;

/** Reads what the other tool has applied in this database. Throws when its table is not there, or says that a migration failed. */
export async function readTool(connection: Connection, name: ToolName): Promise<string[]> {
  const tool: Tool = TOOLS[name];
  const [found] = await connection.query<{ table: string | null }>(
    `select coalesce(${tool.tables.map((table) => `pg_catalog.to_regclass('${table}')`).join(', ')})::text as table`,
  );
  if (!found?.table) {
    throw new MpmError(
      'USAGE',
      `there is no table ${tool.tables.join(' or ')} here: ${name} did not migrate this database`,
      {
        hint: 'Name the tool that did, or say where the schema stands: mpm-migrate baseline --to NAME',
      },
    );
  }
  const dirty = tool.dirty ? await connection.query<{ name: string }>(tool.dirty(found.table)) : [];
  if (dirty[0]) {
    throw new MpmError('USAGE', `${name} says that ${dirty[0].name} failed half-way here`, {
      hint: `Mend the database and ${name}'s table first: what is half applied cannot be recorded as applied.`,
    });
  }
  const rows = await connection.query<{ applied: string }>(tool.select(found.table));
  return rows.map(({ applied }) => applied);
}

/**
 * Matches what the other tool applied with the files: by name, else by version. Throws when an applied one has no
 * file, or two: what is not understood is not recorded.
 */
export function decideAdoption(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  applied: readonly string[],
  tool: ToolName,
): Change[] {
  const recorded = new Set(rows.map(({ name }) => name));
  const matched = applied.map((entry) => ({ entry, found: matching(migrations, entry) }));
  const unmatched = matched.filter(
    ({ entry, found }) => found.length === 0 || (!entry.startsWith('<=') && found.length > 1),
  );
  if (unmatched.length) {
    const names = unmatched.slice(0, 5).map(({ entry }) => entry.replace('<=', ''));
    throw new MpmError(
      'USAGE',
      `${unmatched.length} applied by ${tool} match no file, or more than one: ${names.join(', ')}`,
      {
        hint: 'Bring these files into the core folder under the same name or version; nothing was recorded.',
      },
    );
  }
  const wanted = new Set(matched.flatMap(({ found }) => found));
  return migrations
    .filter((migration) => wanted.has(migration) && !recorded.has(migration.name))
    .map((migration) => ({
      action: 'record',
      name: migration.name,
      migration,
      why: `baseline from ${tool}`,
    }));
}

function matching(migrations: readonly Migration[], entry: string): Migration[] {
  if (entry.startsWith('<=')) {
    const last = entry.slice(2);
    const reached = migrations.some(({ version }) => compareVersions(version, last) === 0);
    return reached ? migrations.filter(({ version }) => compareVersions(version, last) <= 0) : [];
  }
  const name = entry.replace(/\.(?:ts|js|mjs|cjs|sql)$/, '');
  const same = migrations.filter((migration) => migration.name === name);
  if (same.length) return same;
  // Laravel's 2024_01_31_120000_x, prisma's 20240131120000_x, dbmate's and flyway's bare versions.
  const version = /^\d+(?:[_.]\d+)*/.exec(name)?.[0].replaceAll(/[_.]/g, '') ?? '';
  return version
    ? migrations.filter((migration) => compareVersions(versionOf(migration.name), version) === 0)
    : [];
}
