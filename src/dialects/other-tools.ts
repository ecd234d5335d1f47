import { MpmError } from '../errors.ts';
import { type AppliedElsewhere, type Row, type Tool } from './tool.ts';
import { TOOL_NAMES, type ToolName } from './tool-names.ts';
import { GO } from './tools/go.ts';
import { NODE } from './tools/node.ts';
import { OTHERS } from './tools/others.ts';

/** The tools whose fleets can be taken over. */
export const TOOLS: Readonly<Record<ToolName, Tool>> = { ...NODE, ...GO, ...OTHERS };

/** What these tools keep in a database, theirs alone: their tables, and what lies beside them. */
export const TOOL_TABLES: ReadonlySet<string> = new Set(
  Object.values(TOOLS).flatMap(({ tables, mark }) => [
    ...tables.flatMap((table) => [table, `${table}_lock`, `${table}lock`]),
    ...(mark === undefined ? [] : [mark]),
  ]),
);

/** Whether its migrations aren't files that can be matched: `--to` says then what of ours is applied. */
export function hasHeads(name: ToolName): boolean {
  return TOOLS[name].heads ?? false;
}

/** A table in a database: what tells whose it is. */
export interface FoundTable {
  table: string;
  /** Names and types, as the catalog writes these. */
  columns: readonly (readonly [name: string, type: string])[];
  /** Those tables of its schema that mark a tool's. */
  marks: readonly string[];
}

/**
 * The tools that make exactly this table.
 * @param among default: those that call theirs so
 */
export function whoseTable({ table, columns, marks }: FoundTable, among?: readonly ToolName[]): ToolName[] {
  const names = among ?? TOOL_NAMES.filter((name) => TOOLS[name].tables.includes(table));
  const fitting = names.filter((name) => TOOLS[name].shapes.some((shape) => isShape(shape, columns)));
  const marked = fitting.filter((name) => marks.includes(TOOLS[name].mark ?? ''));
  return marked.length ? marked : fitting;
}

/** Whether the columns that are read are there, whatever else the table has. */
export function isReadable(name: ToolName, { columns }: FoundTable): boolean {
  const { shapes, columns: needed } = TOOLS[name];
  return shapes.some((shape) =>
    partsOf(shape)
      .filter(([column]) => needed.includes(column))
      .every(([column, type]) => columns.some(([own, its]) => own === column && sameType(baseOf(type), its))),
  );
}

function isShape(shape: string, columns: FoundTable['columns']): boolean {
  const parts = partsOf(shape);
  return (
    parts.length === columns.length &&
    parts.every(([column, type]) => columns.some(([own, its]) => own === column && sameType(type, its)))
  );
}

function partsOf(shape: string): [column: string, type: string][] {
  return shape.split(', ').map((part) => {
    const space = part.indexOf(' ');
    return [part.slice(0, space), part.slice(space + 1)];
  });
}

const LONG: Readonly<Record<string, string>> = {
  varchar: 'character varying',
  timestamptz: 'timestamp with time zone',
  timestamp: 'timestamp without time zone',
};

function sameType(type: string, catalog: string): boolean {
  const [, word = '', length] = /^(\w+)(\(\d*\))?$/.exec(type) ?? [];
  const long = LONG[word] ?? word;
  if (length === undefined) return baseOf(catalog) === long;
  return catalog === (length === '()' ? long : `${long}${length}`);
}

function baseOf(type: string): string {
  return type.replace(/\(\d*(?:,\d+)?\)/, '');
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
