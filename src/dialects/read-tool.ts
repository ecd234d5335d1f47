import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { isServerError } from '../postgres/sqlstate.ts';
import { parseCopyRows } from '../engine/history/summary.ts';
import { shellWord } from '../shell-word.ts';
import { entriesOf, type FoundTable, hasHeads, isReadable, TOOLS, whoseTable } from './other-tools.ts';
import type { AppliedElsewhere, Row } from './tool.ts';
import { TOOL_NAMES, type ToolName } from './tool-names.ts';

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

/** A table that may be a tool's, in a database. */
export interface Candidate extends TablePlace, FoundTable {
  /** An ordinary one, of which COPY reads each row and runs nothing. */
  plain: boolean;
  bytes: number;
}

const MOST_BYTES = 16 * 1024 * 1024;
/** No tool's table has so many. */
const MOST_COLUMNS = 30;

/**
 * Reads what the other tool has applied in this database. COPY reads the rows of a plain table and runs nothing
 * that its owner has hung on it: no view, policy, expression index or generated column (engine 33).
 * @param table where its table is, when that is not its default: `name` or `schema.name`. It also says that a table is
 *   meant which another tool makes as well, or that has more columns
 * @throws MpmError ADOPTION when its table is not there, is another tool's or no such table, or says that a migration failed
 */
export async function readTool(connection: Connection, name: ToolName, table?: string): Promise<ToolHistory> {
  const found = await findTable(connection, name, table);
  requireWhose(found, name, table !== undefined);
  return readFound(connection, name, found);
}

/**
 * Reads a table that is known to be this tool's.
 * @throws MpmError ADOPTION when it can't be read, or says that a migration failed
 */
export async function readFound(
  connection: Connection,
  name: ToolName,
  found: Candidate,
): Promise<ToolHistory> {
  const { schema, table, columns, plain, bytes } = found;
  if (!plain) {
    throw new MpmError('ADOPTION', `${shownAs(found)} is not an ordinary table without row security`, {
      hint: `${name} makes an ordinary table. ${BY_HAND}`,
    });
  }
  if (bytes > MOST_BYTES) {
    throw new MpmError(
      'ADOPTION',
      `the table ${shownAs(found)} is too large to be ${name}'s: ${bytes} bytes`,
      {
        hint: BY_HAND,
      },
    );
  }
  const optional = TOOLS[name].optional ?? [];
  const there = optional.filter((each) => columns.some(([column]) => column === each));
  try {
    const opening =
      'begin read only; set local search_path = pg_catalog, pg_temp; set local row_security = off';
    const { copied } = await connection.send(`${opening}; ${copyOf(name, { schema, table }, there)}; commit`);
    return { tool: name, place: { schema, table }, applied: entriesOf(name, parseCopyRows(copied[0] ?? '')) };
  } catch (error) {
    if (!connection.lost && connection.transaction !== 'idle') await connection.query('rollback');
    if (!isServerError(error) || !error.code.startsWith('42')) throw error;
    throw new MpmError('ADOPTION', `can't read the table ${shownAs(found)} as ${name}'s: ${error.message}`, {
      cause: error,
      hint: BY_HAND,
    });
  }
}

const BY_HAND =
  'To record the last applied migration instead: mpm-migrate baseline --tenant {tenant} --to NAME';

function copyOf(name: ToolName, { schema, table }: TablePlace, more: readonly string[] = []): string {
  const columns = [...TOOLS[name].columns, ...more].map(identifier).join(', ');
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
  return entriesOf(name, parseCopyRows(copied) as Row[]);
}

/** The tables of a database that are called so, those in `public` first. Changes nothing, and runs nothing of the tenant's. */
export async function findTables(
  connection: Connection,
  names: readonly string[],
  schema?: string,
): Promise<Candidate[]> {
  const where = `n.nspname ${schema === undefined ? "!~ '^pg_|^information_schema$'" : `= ${literal(schema)}`}`;
  const marks = TOOL_NAMES.flatMap((name) => TOOLS[name].mark ?? []);
  const among = (list: readonly string[]) => list.map((each) => literal(each)).join(', ');
  const found = await connection.query<{ json: string }>(
    `begin read only; set local search_path = pg_catalog, pg_temp;
select pg_catalog.json_build_object('schema', n.nspname, 'table', c.relname, 'bytes', pg_catalog.pg_table_size(c.oid),
  'plain', c.relkind = 'r' and not c.relrowsecurity,
  'columns', (select pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)) order by a.attnum)
    from (select * from pg_catalog.pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped order by attnum limit ${MOST_COLUMNS + 1}) a),
  'marks', (select pg_catalog.json_agg(m.relname) from pg_catalog.pg_class m
    where m.relnamespace = c.relnamespace and m.relkind = 'r' and m.relname in (${among(marks)})))::text as json
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relname in (${among(names)}) and c.relkind in ('r', 'p', 'v', 'm', 'f') and ${where}
order by n.nspname <> 'public', n.nspname`,
  );
  await connection.query('commit');
  return found.map(({ json }) => {
    const { columns, marks: beside, ...rest } = JSON.parse(json) as Candidate;
    return { ...rest, columns: columns ?? [], marks: beside ?? [] };
  });
}

/** @throws MpmError ADOPTION when there is none, or it isn't clear which */
async function findTable(connection: Connection, name: ToolName, given?: string): Promise<Candidate> {
  const { tables, schema: usual } = TOOLS[name];
  const [table, schema] = given === undefined ? [] : given.split('.').toReversed();
  const names = table === undefined ? tables : [table];
  const all = await findTables(connection, names, schema);
  const named =
    names.map((each) => all.filter((one) => one.table === each)).find((each) => each.length) ?? [];
  const place = named.find((each) => each.schema === usual) ?? named[0];
  if (!place) throw await missing(connection, name, given);
  const other = named.find((each) => each !== place);
  if (other && place.schema !== 'public' && place.schema !== usual) {
    throw new MpmError('ADOPTION', `there are ${named.length} tables ${place.table}`, {
      hint: `Choose one: --table ${flagOf(place)}, or --table ${flagOf(other)}`,
    });
  }
  return place;
}

/** That a table is not there, and whose is, if one is. */
async function missing(connection: Connection, name: ToolName, given?: string): Promise<MpmError> {
  const found = given === undefined ? await findToolTables(connection) : [];
  const typed = found.map(({ tool, table }) =>
    ['mpm-migrate baseline --tenant {tenant}', fromFlags(tool, table)].join(' '),
  );
  const whose = found.map(({ tool, table }) => `${shownAs(table)}, ${tool}'s`).join(', and ');
  const theirs = found.length ? `, but ${whose}` : '';
  return new MpmError(
    'ADOPTION',
    `the table ${given ?? TOOLS[name].tables[0]} doesn't exist${theirs}: ${name} didn't migrate this database`,
    {
      hint: found.length
        ? `Type: ${typed.join(', or: ')}`
        : 'Choose the right tool, or its table with --table; or record the last applied migration: mpm-migrate baseline --tenant {tenant} --to NAME',
    },
  );
}

/** The tables of a database that are tools', and whose. */
export async function findToolTables(
  connection: Connection,
): Promise<{ tool: ToolName; table: Candidate }[]> {
  const names = new Set(TOOL_NAMES.flatMap((name) => TOOLS[name].tables));
  const all = await findTables(connection, [...names]);
  return all.flatMap((table) => whoseTable(table).map((tool) => ({ tool, table })));
}

/** @throws MpmError ADOPTION when the table is another tool's, may be, or is nobody's */
function requireWhose(found: Candidate, name: ToolName, isMeant: boolean): void {
  const fits = whoseTable(found, isMeant ? TOOL_NAMES : undefined);
  if (fits.includes(name) && (isMeant || fits.length === 1)) return;
  const shown = shownAs(found);
  const typed = (tool: ToolName) =>
    ['mpm-migrate baseline --tenant {tenant}', fromFlags(tool, found)].join(' ');
  if (fits.includes(name)) {
    throw new MpmError('ADOPTION', `the table ${shown} may be ${fits.join("'s or ")}'s: both make it so`, {
      hint: fits.map((tool) => `If it is ${tool}'s: ${typed(tool)}`).join('\n'),
    });
  }
  if (fits.length) {
    throw new MpmError('ADOPTION', `the table ${shown} is ${fits.join("'s or ")}'s, not ${name}'s`, {
      hint: `Type: ${fits.map(typed).join(', or: ')}`,
    });
  }
  const readable = isReadable(name, found);
  if (readable && isMeant) return;
  throw new MpmError(
    'ADOPTION',
    `the table ${shown} is not as ${name} makes it: it has (${columnsOf(found)})`,
    {
      hint: `${name} makes (${TOOLS[name].shapes[0]}). ${
        readable ? `If it is ${name}'s, and was changed, name it: --table ${flagOf(found)}` : BY_HAND
      }`,
    },
  );
}

/** As it is called in messages. */
function shownAs({ schema, table }: TablePlace): string {
  return schema === 'public' ? table : `${schema}.${table}`;
}

function flagOf({ schema, table }: TablePlace): string {
  return shellWord(`${schema}.${table}`);
}

/**
 * What is to be typed behind `mpm-migrate baseline` to take a tool's history over.
 * @param place said where it must be
 * @param to of a tool whose migrations aren't files
 */
export function fromFlags(name: ToolName, place?: TablePlace, to = 'NAME'): string {
  const table = place && !isUsual(name, place) ? ['--table', flagOf(place)] : [];
  return ['--from', name, ...table, ...(hasHeads(name) ? ['--to', shellWord(to)] : [])].join(' ');
}

/** Whether a table is found without being named, and can only be that tool's. */
function isUsual(name: ToolName, { schema, table }: TablePlace): boolean {
  const { tables, schema: usual = 'public' } = TOOLS[name];
  const isTwin = (other: ToolName) =>
    other !== name &&
    TOOLS[other].tables.includes(table) &&
    TOOLS[other].shapes.some((shape) => TOOLS[name].shapes.includes(shape));
  return tables.includes(table) && [usual, 'public'].includes(schema) && !TOOL_NAMES.some(isTwin);
}

/** What a tenant's database says is data: so much of it is shown. */
function columnsOf({ columns }: Candidate): string {
  const shown = columns.slice(0, 8).map(([column, type]) => `${column} ${type}`);
  return [...shown, ...(columns.length > shown.length ? ['…'] : [])].join(', ').slice(0, 400);
}
