import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { isServerError } from '../postgres/sqlstate.ts';
import { parseCopyRows } from '../engine/history/summary.ts';

/**
 * One entry of another tool's table, with all that it says of the file that it means.
 * `one`: that migration. `up-to`: it and all before. `below`: all up to there, whether or not there is a file for it.
 */
export interface AppliedElsewhere {
  /** As the tool has it, for messages. */
  applied: string;
  reach: 'one' | 'up-to' | 'below';
  /** The file's name without its extension, where the tool keeps that. */
  name?: string;
  /** Its version, where the tool keeps one. */
  version?: string;
  /** What is said behind the version, where the tool keeps that too. */
  words?: string;
  /** Greater than those of what was applied before, where the table says so. */
  rank?: number;
  /** Two of the tool's files may share a version; here one of them must have got another number. */
  shared?: boolean;
}

/** Another tool's history, as it is in a database. */
export interface ToolHistory {
  tool: ToolName;
  place: TablePlace;
  applied: AppliedElsewhere[];
}

/** Where a table is; as the catalog has both names. */
export interface TablePlace {
  schema: string;
  table: string;
}

type Row = readonly (string | null)[];

interface Tool {
  /** What its table is called by default. */
  table: string;
  columns: readonly string[];
  /** A row that says that something is wrong: a person must look first. */
  dirty?(row: Row): string | undefined;
  entries(rows: readonly Row[]): AppliedElsewhere[];
}

const EXTENSION = /\.(?:ts|mts|cts|js|mjs|cjs|sql)$/;

const byName = ([written]: Row): AppliedElsewhere => {
  const name = String(written);
  return { applied: name, reach: 'one', name: name.replace(EXTENSION, '') };
};

/** The same, in the order in which they were applied; the second column says it. */
const inOrder = (rows: readonly Row[], rankOf: (text: string) => number): AppliedElsewhere[] =>
  rows.map((row) => ({ ...byName(row), rank: rankOf(String(row[1])) })).toSorted((a, b) => a.rank - b.rank);

const byVersion =
  (reach: AppliedElsewhere['reach']) =>
  ([version]: Row): AppliedElsewhere => ({ applied: String(version), reach, version: String(version) });

const LARAVEL = /^(\d{4}_\d{2}_\d{2}_\d{6})(?:_(.*))?$/s;

/** The tools whose fleets can be taken over, with the columns that say what is applied. */
const TOOLS: Record<ToolName, Tool> = {
  kysely: {
    table: 'kysely_migration',
    columns: ['name', 'timestamp'],
    entries: (rows) => inOrder(rows, Date.parse),
  },
  knex: {
    table: 'knex_migrations',
    columns: ['name', 'id'],
    entries: (rows) => inOrder(rows, Number),
  },
  'node-pg-migrate': {
    table: 'pgmigrations',
    columns: ['name', 'id'],
    entries: (rows) => inOrder(rows, Number),
  },
  dbmate: {
    table: 'schema_migrations',
    columns: ['version'],
    entries: (rows) => rows.map(byVersion('one')),
  },
  'golang-migrate': {
    table: 'schema_migrations',
    columns: ['version', 'dirty'],
    dirty: ([version, dirty]) => (dirty === 't' ? String(version) : undefined),
    // It keeps the last version only: all before it are applied.
    entries: (rows) => rows.filter(([version]) => Number(version) >= 0).map(byVersion('up-to')),
  },
  flyway: {
    table: 'flyway_schema_history',
    columns: ['installed_rank', 'version', 'description', 'type', 'script', 'success'],
    dirty: ([, , , , script, success]) => (success === 't' ? undefined : String(script)),
    entries: flywayEntries,
  },
  prisma: {
    table: '_prisma_migrations',
    columns: ['migration_name', 'finished_at', 'rolled_back_at'],
    dirty: ([name, finished, rolledBack]) =>
      finished === null && rolledBack === null ? String(name) : undefined,
    entries: (rows) =>
      rows.filter(([, finished, rolledBack]) => finished !== null && rolledBack === null).map(byName),
  },
  laravel: {
    table: 'migrations',
    columns: ['migration'],
    entries: (rows) =>
      rows.map((row) => {
        const entry = byName(row);
        const [, date, words = ''] = LARAVEL.exec(entry.applied) ?? [];
        return date ? { ...entry, version: date, words, shared: true } : entry;
      }),
  },
};

/** What these tools keep in a database, theirs alone: their tables, and what some lock. */
export const TOOL_TABLES: ReadonlySet<string> = new Set(
  Object.values(TOOLS).flatMap(({ table }) => [table, `${table}_lock`]),
);

/** Of a version that was undone or deleted the last row says so; a baseline stands for all before it. */
function flywayEntries(rows: readonly Row[]): AppliedElsewhere[] {
  const last = new Map<string, Row>();
  for (const row of rows.toSorted((a, b) => Number(a[0]) - Number(b[0]))) {
    if (row[1] !== null && row[1] !== undefined) last.set(row[1], row);
  }
  return [...last.values()].flatMap(([, version, description, type]) => {
    if (type === 'DELETE' || type?.startsWith('UNDO')) return [];
    const all = type?.endsWith('BASELINE') ?? false;
    return [
      {
        applied: `${version} ${description}`,
        reach: all ? 'below' : 'one',
        version: String(version),
        ...(all ? {} : { words: String(description) }),
      },
    ];
  });
}

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

/** What a tool calls its table where nobody said otherwise. */
export function tableOf(name: ToolName): string {
  return TOOLS[name].table;
}

const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Reads what the other tool has applied in this database. COPY reads the rows of a plain table and runs nothing
 * that its owner has hung on it: no view, policy, expression index or generated column (engine 33).
 * @param table where its table is, when that is not its default: `name` or `schema.name`
 * @throws MpmError ADOPTION when its table is not there, is not such a table, or says that a migration failed
 */
export async function readTool(connection: Connection, name: ToolName, table?: string): Promise<ToolHistory> {
  const tool = TOOLS[name];
  const shown = table ?? tool.table;
  try {
    const { place, rows } = await readRows(connection, shown, name);
    return { tool: name, place, applied: entriesOf(name, rows) };
  } catch (error) {
    if (!connection.lost && connection.transaction !== 'idle') await connection.query('rollback');
    if (!isServerError(error) || !error.code.startsWith('42')) throw error;
    throw new MpmError('ADOPTION', `can't read the table ${shown} as ${name}'s: ${error.message}`, {
      cause: error,
      hint: `Check that it is this tool's table. Known tools: ${TOOL_NAMES.join(', ')}.`,
    });
  }
}

/**
 * What the rows of a tool's table say, their columns in the order in which they are read.
 * @throws MpmError ADOPTION when one says that a migration failed
 */
export function entriesOf(name: ToolName, rows: readonly Row[]): AppliedElsewhere[] {
  const tool = TOOLS[name];
  const dirty = rows.map((row) => tool.dirty?.(row)).find((each) => each !== undefined);
  if (dirty === undefined) return tool.entries(rows);
  throw new MpmError('ADOPTION', `${name} reports that ${dirty} failed halfway`, {
    hint: `Fix the database and ${name}'s table first: a half-applied migration can't be recorded as applied.`,
  });
}

function copyOf(name: ToolName, { schema, table }: TablePlace): string {
  const columns = TOOLS[name].columns.map(identifier).join(', ');
  return `copy ${identifier(schema)}.${identifier(table)} (${columns}) to stdout`;
}

/** Reads the table again where it was, as a part of another message; fails when it has grown beyond such a table's size. */
export function copyAgain(name: ToolName, place: TablePlace): string {
  const table = literal(`${identifier(place.schema)}.${identifier(place.table)}`);
  const size = `pg_catalog.pg_table_size(${table}::pg_catalog.regclass)`;
  return `select 1 / (case when ${size} > ${MOST_BYTES} then 0 else 1 end); ${copyOf(name, place)}`;
}

/** What {@link copyAgain} returned. @throws MpmError ADOPTION as {@link entriesOf} */
export function parseAgain(name: ToolName, copied: string): AppliedElsewhere[] {
  return entriesOf(name, parseCopyRows(copied));
}

async function readRows(
  connection: Connection,
  shown: string,
  name: ToolName,
): Promise<{ place: TablePlace; rows: Row[] }> {
  const [table = '', schema] = shown.split('.').toReversed();
  const where = `n.nspname ${schema === undefined ? "!~ '^pg_|^information_schema$'" : `= ${literal(schema)}`}`;
  const places = await connection.query<{ schema: string; bytes: string }>(
    `begin read only; set local search_path = pg_catalog, pg_temp; set local row_security = off;
select n.nspname as schema, pg_catalog.pg_table_size(c.oid)::text as bytes from pg_catalog.pg_class c join pg_catalog.pg_namespace n
on n.oid = c.relnamespace where c.relname = ${literal(table)} and c.relkind in ('r', 'p', 'v', 'm', 'f') and ${where}
order by n.nspname <> 'public', n.nspname`,
  );
  const [place, other] = places;
  if (!place) {
    throw new MpmError('ADOPTION', `the table ${shown} doesn't exist: ${name} didn't migrate this database`, {
      hint: 'Choose the right tool, or its table with --table; or record the last applied migration: mpm-migrate baseline --tenant {tenant} --to NAME',
    });
  }
  if (other && place.schema !== 'public') {
    throw new MpmError('ADOPTION', `there are ${places.length} tables ${shown}`, {
      hint: `Choose one: --table ${place.schema}.${table}, or --table ${other.schema}.${table}`,
    });
  }
  if (Number(place.bytes) > MOST_BYTES) {
    throw new MpmError('ADOPTION', `the table ${shown} is too large to be ${name}'s: ${place.bytes} bytes`, {
      hint: 'Record the last applied migration instead: mpm-migrate baseline --tenant {tenant} --to NAME',
    });
  }
  const found = { schema: place.schema, table };
  const { copied } = await connection.send(`${copyOf(name, found)}; commit`);
  return { place: found, rows: parseCopyRows(copied[0] ?? '') };
}
