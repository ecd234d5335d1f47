import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { isServerError } from '../postgres/sqlstate.ts';
import type { Change } from './amend.ts';
import type { Migration } from './migration.ts';
import { compareVersions, versionOf } from './name.ts';
import type { HistoryRow } from './state.ts';

/**
 * One entry of another tool's table: a name or a version. `one`: that migration. `up-to`: it and all before.
 * `below`: all up to there, whether or not there is a file for it.
 */
export interface AppliedElsewhere {
  applied: string;
  reach: 'one' | 'up-to' | 'below';
}

/** How another tool's table tells what is applied (`baseline --from`). */
interface Tool {
  /** What its table is called by default. */
  table: string;
  select(table: string): string;
  /** Rows that say that something is wrong: a person must look first. */
  dirty?(table: string): string;
  /** What of an entry is its version, where that is not its leading digits. */
  version?: RegExp;
}

const byColumn =
  (column: string, order: string, where = 'true') =>
  (table: string) =>
    `select ${column}::text as applied, 'one' as reach from ${table} where ${where} order by ${order}`;

/** The tools whose fleets can be taken over. */
const TOOLS: Record<ToolName, Tool> = {
  kysely: { table: 'kysely_migration', select: byColumn('name', 'timestamp, name') },
  knex: { table: 'knex_migrations', select: byColumn('name', 'id') },
  'node-pg-migrate': { table: 'pgmigrations', select: byColumn('name', 'run_on, id') },
  dbmate: { table: 'schema_migrations', select: byColumn('version', 'version') },
  'golang-migrate': {
    table: 'schema_migrations',
    // It keeps the last version only: all before it are applied.
    select: (table) => `select version::text as applied, 'up-to' as reach from ${table} where version >= 0`,
    dirty: (table) => `select version::text as name from ${table} where dirty`,
  },
  flyway: {
    table: 'flyway_schema_history',
    // Of a version that was undone or deleted the last row says so; a baseline stands for all before it.
    select: (
      table,
    ) => `select version as applied, case when type like '%BASELINE' then 'below' else 'one' end as reach
from (select distinct on (version) * from ${table} where version is not null order by version, installed_rank desc) last
where success and type <> 'DELETE' and type not like 'UNDO%' order by installed_rank`,
    dirty: (table) => `select script as name from ${table} where not success`,
    version: /^\d+(?:[._]\d+)*$/,
  },
  prisma: {
    table: '_prisma_migrations',
    select: byColumn('migration_name', 'started_at', 'finished_at is not null and rolled_back_at is null'),
    dirty: (table) =>
      `select migration_name as name from ${table} where finished_at is null and rolled_back_at is null`,
  },
  laravel: {
    table: 'migrations',
    select: byColumn('migration', 'id'),
    version: /^\d{4}_\d{2}_\d{2}_\d{6}(?=_|$)/,
  },
};

export const TOOL_NAMES = [
  'kysely',
  'knex',
  'node-pg-migrate',
  'dbmate',
  'golang-migrate',
  'flyway',
  'prisma',
  'laravel',
] as const;

export type ToolName = (typeof TOOL_NAMES)[number];

/**
 * Reads what the other tool has applied in this database.
 * @param table where its table is, when that is not its default: `name` or `schema.name`
 * @throws MpmError ADOPTION when its table is not there, is not such a table, or says that a migration failed
 */
export async function readTool(
  connection: Connection,
  name: ToolName,
  table?: string,
): Promise<AppliedElsewhere[]> {
  const tool = TOOLS[name];
  const wanted = (table ?? tool.table).split('.').map(identifier).join('.');
  const [found] = await connection.query<{ there: boolean }>(
    `select pg_catalog.to_regclass(${literal(wanted)}) is not null as there`,
  );
  if (!found?.there) {
    throw new MpmError(
      'ADOPTION',
      `there is no table ${table ?? tool.table}: ${name} did not migrate this database`,
      {
        hint: 'Name the tool that did, or its table with --table; or say where the schema stands: mpm-migrate baseline --tenant {tenant} --to NAME',
      },
    );
  }
  try {
    const dirty = tool.dirty ? await connection.query<{ name: string }>(tool.dirty(wanted)) : [];
    if (dirty[0]) {
      throw new MpmError('ADOPTION', `${name} says that ${dirty[0].name} failed half-way`, {
        hint: `Mend the database and ${name}'s table first: what is half applied cannot be recorded as applied.`,
      });
    }
    return await connection.query<AppliedElsewhere>(tool.select(wanted));
  } catch (error) {
    if (!isServerError(error) || !error.code.startsWith('42')) throw error;
    throw new MpmError(
      'ADOPTION',
      `the table ${table ?? tool.table} cannot be read as ${name}'s: ${error.message}`,
      {
        cause: error,
        hint: `Is it another tool's? Known are ${TOOL_NAMES.join(', ')}.`,
      },
    );
  }
}

/**
 * Matches what the other tool applied with the files: by name, else by version.
 * @throws MpmError ADOPTION when an applied one has no file, or more than one, or two have the same: what is not
 *   understood is not recorded
 */
export function decideAdoption(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  applied: readonly AppliedElsewhere[],
  tool: ToolName,
): Change[] {
  const wanted = new Set<Migration>();
  const odd: string[] = [];
  for (const entry of applied) {
    const found = matching(migrations, entry, tool);
    const single = entry.reach === 'one';
    if (!found || (single && (found.length !== 1 || found.some((one) => wanted.has(one)))))
      odd.push(entry.applied);
    else for (const migration of found) wanted.add(migration);
  }
  if (odd.length) {
    const more = odd.length > 5 ? ` and ${odd.length - 5} more` : '';
    throw new MpmError(
      'ADOPTION',
      `${odd.length} applied by ${tool} match no file of their own: ${odd.slice(0, 5).join(', ')}${more}`,
      {
        aftermath: 'nothing was recorded here',
        hint: 'Bring these files into the core folder under the same name or version.',
      },
    );
  }
  const recorded = new Set(rows.map(({ name }) => name));
  return migrations
    .filter((migration) => wanted.has(migration) && !recorded.has(migration.name))
    .map((migration) => ({
      action: 'record',
      name: migration.name,
      migration,
      why: `baseline from ${tool}`,
    }));
}

/** The files that an entry means; undefined when there is none where there must be one. */
function matching(
  migrations: readonly Migration[],
  { applied, reach }: AppliedElsewhere,
  tool: ToolName,
): Migration[] | undefined {
  const name = applied.replace(/\.(?:ts|mts|cts|js|mjs|cjs|sql)$/, '');
  const same = migrations.filter((migration) => migration.name === name);
  if (reach === 'one' && same.length) return same;
  const version = (TOOLS[tool].version ?? /^\d+/).exec(name)?.[0].replaceAll(/[._]/g, '');
  if (!version) return undefined;
  // Files that shared a second there got neighbouring versions here: same day, same words.
  const slug = name.slice(version.length).replace(/^[\d_]*/, '');
  const day = (migration: Migration) => migration.version.slice(0, 8) === version.slice(0, 8);
  const twin = migrations.filter((each) => day(each) && each.name.replace(/^\d+[_-]*/, '') === slug);
  if (tool === 'laravel' && twin.length === 1) return twin;
  const compared = (migration: Migration) => compareVersions(versionOf(migration.name), version);
  const exact = migrations.filter((migration) => compared(migration) === 0);
  if (reach === 'one') return exact.length ? exact : undefined;
  if (reach === 'up-to' && exact.length === 0) return undefined;
  return migrations.filter((migration) => compared(migration) <= 0);
}
