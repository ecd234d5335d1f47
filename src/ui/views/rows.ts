import type { TenantRows } from '../../fleet/verbs/exec.ts';
import { oneLine, padEnd, padStart, truncate, widthOf } from '../format.ts';
import { harmlessJson } from '../../text.ts';
import type { Theme } from '../theme.ts';
import { tenantName } from './tenant.ts';

/** Writes rows as they come: each call returns what is to be printed now. */
export interface RowsFormat {
  take(rows: TenantRows): string;
  /** What was held back. */
  end(): string;
}

type Table = TenantRows['tables'][number];

/** So many lines are looked at for a table's widths; those after them keep to these. */
const LOOK = 200;
/** Types whose columns stand to the right: whole numbers, floats, numeric, money. */
const NUMBERS = new Set([20, 21, 23, 26, 700, 701, 1700, 790]);

/** A table, the tenant first; a new heading where the columns change. */
export function rowsAsTable(theme: Theme): RowsFormat {
  let shape = '';
  let heading: { titles: string[]; right: boolean[] } = { titles: [], right: [] };
  let widths: number[] | undefined;
  let held: string[][] = [];
  let first = true;

  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, at) =>
      heading.right[at] ? padStart(cell, widths?.[at] ?? 0) : padEnd(cell, widths?.[at] ?? 0),
    );
    return `${truncate(padded.join('  ').trimEnd(), theme.width, theme.symbols.ellipsis)}\n`;
  };
  const flush = (): string => {
    if (!held.length && (widths || !shape)) return '';
    const top = widths ? '' : titleLine();
    const text = top + held.map(line).join('');
    held = [];
    return text;
  };
  const titleLine = (): string => {
    widths = heading.titles.map((title, at) =>
      Math.max(widthOf(title), ...held.map((row) => widthOf(row[at] ?? ''))),
    );
    const gap = first ? '' : '\n';
    first = false;
    return gap + theme.dim(line(heading.titles).trimEnd()) + '\n';
  };

  return {
    take({ tenant, tables }) {
      let text = '';
      for (const table of tables) {
        const { titles, right, rows } = cellsOf(table);
        if (titles.length === 0) continue;
        const next = JSON.stringify([titles, right]);
        if (next !== shape) {
          text += flush();
          shape = next;
          heading = { titles: ['TENANT', ...titles], right: [false, ...right] };
          widths = undefined;
        }
        for (const row of rows) held.push([tenantName(tenant), ...row]);
        if (widths || held.length >= LOOK) text += flush();
      }
      return text;
    },
    end: flush,
  };
}

/** What a statement returned, for people: its rows, or that it changed some. */
function cellsOf({ command, rowCount, columns, rows }: Table): {
  titles: string[];
  right: boolean[];
  rows: string[][];
} {
  if (columns.length === 0) {
    if (rowCount === null) return { titles: [], right: [], rows: [] };
    return { titles: ['COMMAND', 'ROWS'], right: [false, true], rows: [[command, String(rowCount)]] };
  }
  return {
    titles: columns.map(({ name }) => oneLine(name)),
    right: columns.map(({ type }) => NUMBERS.has(type)),
    rows: rows.map((row) => row.map((value) => (value === null ? 'null' : oneLine(value)))),
  };
}

/** CSV as PostgreSQL writes it (RFC 4180): null is empty, an empty text is quoted. A new heading where columns change. */
export function rowsAsCsv(): RowsFormat {
  let shape = '';
  return {
    take({ tenant, tables }) {
      let text = '';
      for (const { columns, rows } of tables) {
        if (columns.length === 0) continue;
        const heading = csvLine(['tenant_id', 'tenant', ...columns.map(({ name }) => guarded(name))]);
        if (heading !== shape) text += (shape ? '\n' : '') + heading;
        shape = heading;
        const plain = columns.map(({ type }) => NUMBERS.has(type));
        const whose = [guarded(tenant.id), guarded(tenant.name)];
        for (const row of rows) {
          text += csvLine([...whose, ...row.map((value, at) => (plain[at] ? value : guarded(value)))]);
        }
      }
      return text;
    },
    end: () => '',
  };
}

/** A spreadsheet would take such a text for a formula, and run it (OWASP, CSV injection); numbers stay what they are. */
function guarded<T extends string | null>(value: T): T | string {
  return value !== null && /^[=+\-@\t\r]/.test(value) && !/^-?\d+$/.test(value) ? `'${value}` : value;
}

function csvLine(values: readonly (string | null)[]): string {
  return `${values.map(csvValue).join(',')}\n`;
}

function csvValue(value: string | null): string {
  if (value === null) return '';
  return value === '' || /[",\r\n]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

/** A JSON document a line; the statement's number where there are several. */
export function rowsAsNdjson(): RowsFormat {
  return {
    take: ({ tenant, tables }) =>
      tables
        .flatMap(({ command, rowCount, columns, rows }, index): string[] => {
          const head = { tenant, ...(tables.length > 1 ? { statement: index + 1 } : {}) };
          if (columns.length === 0) return [JSON.stringify({ ...head, command, rowCount })];
          const begin = `${JSON.stringify(head).slice(0, -1)},"row":{`;
          const keys = distinct(columns.map(({ name }) => name)).map((name) => JSON.stringify(name));
          return rows.map((row) => {
            const pairs = row.map((value, at) => `${keys[at]}:${jsonValue(value, columns[at]?.type ?? 0)}`);
            return `${begin}${pairs.join(',')}}}`;
          });
        })
        .map((line) => `${harmlessJson(line)}\n`)
        .join(''),
    end: () => '',
  };
}

/** `a, a` becomes `a, a_2`: readers of an object keep but one of them. */
function distinct(names: readonly string[]): string[] {
  const taken = new Set(names);
  const seen = new Set<string>();
  return names.map((name) => {
    let own = name;
    for (let number = 2; seen.has(own) || (own !== name && taken.has(own)); number++)
      own = `${name}_${number}`;
    seen.add(own);
    return own;
  });
}

const BOOLEAN = 16;
const FLOATS = new Set([700, 701]);
const WHOLE = new Set([20, 21, 23, 26]);
const JSON_TYPES = new Set([114, 3802]);

/**
 * A value as JSON, from the text that PostgreSQL wrote: what JavaScript reads and writes again is another one (fleet
 * 44). Whole numbers that its numbers do not hold are texts, and so is numeric.
 */
function jsonValue(value: string | null, type: number): string {
  if (value === null) return 'null';
  if (type === BOOLEAN) return String(value === 't');
  // A line end is space there: within a text of it, it is escaped.
  if (JSON_TYPES.has(type)) return value.replace(/[\r\n]/g, ' ');
  if (FLOATS.has(type) && Number.isFinite(Number(value))) return value;
  if (WHOLE.has(type) && Number.isSafeInteger(Number(value))) return value;
  return JSON.stringify(value);
}
