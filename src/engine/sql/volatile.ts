import { existsSync, readFileSync } from 'node:fs';
import type { Migration } from '../migration.ts';
import { fileLabel } from '../source/files.ts';
import { commentEnd, escapeStringEnd } from './scan-ends.ts';
import { scan, type Statement } from './scan.ts';

/** A migration that writes down what would be another value for another tenant. */
export interface VolatileMigration {
  migration: Migration;
  /** The file's name. */
  file: string;
  /** What makes the value, as it is called. */
  calls: string[];
}

/** What makes secrets and keys; a default that calls one of them fills each row that leaves the column out. */
const RANDOM = String.raw`gen_random_uuid|uuid_generate_\w+|uuidv[47]|random|random_normal|gen_random_bytes|gen_salt`;
const CLOCK = 'now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday';
const OTHER = 'nextval|current_database|txid_current|pg_current_xact_id|pg_backend_pid|inet_server_addr';
const WORDS = 'current_timestamp|current_date|current_time|localtimestamp|localtime|current_catalog';
const CALL = new RegExp(
  String.raw`(?<![\w$"])(?:(?:${RANDOM}|${CLOCK}|${OTHER})\s*\(|(?:${WORDS})(?![\w$"]))`,
  'gi',
);
const RANDOM_DEFAULT = new RegExp(String.raw`\bdefault\b[^,]*?(?<![\w$"])(?:${RANDOM})\s*\(`, 'i');
const OF_MODULE =
  /\bMath\.random\b|\b(?:randomUUID|randomBytes|randomInt|getRandomValues|nanoid)\b(?=\s*\()|\bDate\.now\b|\bnew Date\s*\(\s*\)/g;

const WRITES = /\b(?:insert\s+into|update|merge\s+into|into)\b/i;
const MODULE_WRITES =
  /\b(?:insertInto|updateTable|mergeInto)\b|\binsert\s+into\b|\bupdate\s+[\w."]+\s+set\b/i;

const OPENING = /\/\*|--|['"]|\$(?:[A-Za-z_]\w*)?\$/g;
const NAME = String.raw`((?:"[^"]+"|[\w$]+)(?:\s*\.\s*(?:"[^"]+"|[\w$]+))*)`;
const CREATED = new RegExp(
  String.raw`^create\s+(?:[a-z]+\s+)*?table\s+(?:if\s+not\s+exists\s+)?${NAME}\s*\(`,
  'i',
);
const COPIED = /^create (?:(?:global|local|temp|temporary|unlogged) )*(?:table|materialized view) .*\bas\b/;
const ALTERED = new RegExp(String.raw`^alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?${NAME}`, 'i');
const INSERTED = new RegExp(
  String.raw`\binsert\s+into\s+${NAME}(?:\s+as\s+[\w"]+)?\s*(?:\(([^()]*)\))?`,
  'gi',
);

/** Of each table: which of its columns a random default fills, and whether a migration has put rows into it. */
class Tables {
  readonly #random = new Map<string, Set<string>>();
  readonly filled = new Set<string>();

  add(table: string, column: string): void {
    this.#random.set(table, (this.#random.get(table) ?? new Set()).add(column));
  }

  /** The columns that an INSERT leaves to their random defaults. */
  leftOut(table: string, columns: string | undefined): string[] {
    const given = columns?.split(',').map(plain);
    return [...(this.#random.get(table) ?? [])].filter((column) => !given?.includes(column));
  }
}

/**
 * Migrations and seeds, in order, that write what a volatile function makes, as far as their text shows it: a template
 * has it once, and all its copies have the same (fleet 45). What only defines a default or a function is none of them.
 */
export function volatileOnes(migrations: readonly Migration[]): VolatileMigration[] {
  const tables = new Tables();
  return migrations.flatMap((migration) => {
    const { up, path, share } = migration;
    const calls = up.kind === 'sql' ? ofScript(up.sql, tables) : up.kind === 'module' ? ofModule(path) : [];
    const file = fileLabel(path);
    return calls.length && share !== 'shared' ? [{ migration, file, calls: [...new Set(calls)] }] : [];
  });
}

function ofScript(sql: string, tables: Tables): string[] {
  const calls: string[] = [];
  scan(sql, (statement) => {
    calls.push(...ofStatement(sql.slice(statement.start, statement.end), statement, tables));
  });
  return calls;
}

function ofStatement(text: string, { words }: Statement, tables: Tables): string[] {
  const bare = bareOf(text);
  switch (words[0]) {
    case 'insert':
    case 'update':
    case 'merge':
    case 'with':
    case 'select':
      return WRITES.test(bare) ? [...callsIn(bare), ...defaultsIn(bare, tables)] : [];
    case 'do': {
      // What it runs stands in a string.
      const body = text.replace(/--[^\r\n]*|\/\*[\s\S]*?\*\//g, ' ');
      return WRITES.test(body) ? [...callsIn(body), ...defaultsIn(body, tables)] : [];
    }
    case 'create': {
      const [, name] = CREATED.exec(bare) ?? [];
      if (name !== undefined) keepDefaults(bare, plain(name), tables);
      return COPIED.test(words.join(' ')) ? callsIn(bare) : [];
    }
    case 'alter': {
      const [whole, name] = ALTERED.exec(bare) ?? [];
      if (whole === undefined || name === undefined) return [];
      const table = plain(name);
      for (const part of partsOf(bare.slice(whole.length))) {
        const [, column] =
          /\badd\s+(?:column\s+)?(?:if\s+not\s+exists\s+)?("[^"]+"|[\w$]+)/i.exec(part) ?? [];
        const [, changed] = /\balter\s+(?:column\s+)?("[^"]+"|[\w$]+)\s+set\s+default\b/i.exec(part) ?? [];
        const of = column ?? changed;
        if (of !== undefined && RANDOM_DEFAULT.test(part)) tables.add(table, plain(of));
      }
      // A column that is added is filled at once, where there are rows.
      const fills = /\badd\b|\busing\b/i.test(bare) && tables.filled.has(table);
      return fills ? callsIn(bare).filter((call) => new RegExp(`^(?:${RANDOM})`, 'i').test(call)) : [];
    }
    default:
      return [];
  }
}

function callsIn(text: string): string[] {
  return [...text.matchAll(CALL)].map(([call]) =>
    call.endsWith('(') ? `${call.slice(0, -1).trimEnd().toLowerCase()}()` : call.toLowerCase(),
  );
}

function defaultsIn(text: string, tables: Tables): string[] {
  return [...text.matchAll(INSERTED)].flatMap(([, name = '', columns]) => {
    const table = plain(name);
    tables.filled.add(table);
    // What stands there may be a query as well.
    const list =
      columns !== undefined && !/^\s*(?:select|with|values|table)\b/i.test(columns) ? columns : undefined;
    return tables.leftOut(table, list).map((column) => `the default of ${table}.${column}`);
  });
}

function keepDefaults(bare: string, table: string, tables: Tables): void {
  for (const part of partsOf(bare.slice(bare.indexOf('(') + 1))) {
    const [, column] = /^\s*("[^"]+"|[\w$]+)/.exec(part) ?? [];
    if (column !== undefined && RANDOM_DEFAULT.test(part)) tables.add(table, plain(column));
  }
}

/** Without strings and comments; quoted names stay. */
function bareOf(text: string): string {
  let bare = '';
  let from = 0;
  OPENING.lastIndex = 0;
  for (let found; (found = OPENING.exec(text)); OPENING.lastIndex = from) {
    const [opening] = found;
    const at = found.index;
    const end = endOf(text, opening, at);
    const next = end < 0 ? text.length : end;
    bare += opening === '"' ? text.slice(from, next) : `${text.slice(from, at)} `;
    from = next;
  }
  return bare + text.slice(from);
}

/** Where what opens there ends; negative: nowhere. */
function endOf(text: string, opening: string, at: number): number {
  switch (opening) {
    case '/*':
      return commentEnd(text, at);
    case '--':
      return lineEnd(text, at);
    case "'":
      return /(?<![\w$])e$/i.test(text.slice(Math.max(0, at - 2), at))
        ? escapeStringEnd(text, at + 1)
        : quoteEnd(text, "'", at);
    case '"':
      return quoteEnd(text, '"', at);
    default: {
      // Within a name, as in `a$b$`, it opens nothing.
      if (/[\w$]/.test(text.charAt(at - 1))) return at + 1;
      const close = text.indexOf(opening, at + opening.length);
      return close < 0 ? close : close + opening.length;
    }
  }
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}

function quoteEnd(text: string, quote: string, at: number): number {
  let close = text.indexOf(quote, at + 1);
  while (close >= 0 && text[close + 1] === quote) close = text.indexOf(quote, close + 2);
  return close < 0 ? close : close + 1;
}

/** A list's parts, up to the parenthesis that ends it. */
function partsOf(list: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < list.length && depth >= 0; at++) {
    const char = list[at];
    if (char === '(') depth++;
    else if (char === ')') depth--;
    if ((char === ',' && depth === 0) || depth < 0) {
      parts.push(list.slice(from, at));
      from = at + 1;
    }
  }
  if (depth >= 0) parts.push(list.slice(from));
  return parts;
}

/** The last part of a name, without its quotes. */
function plain(name: string): string {
  const last = name.split('.').at(-1)?.trim() ?? '';
  return last.startsWith('"') ? last.slice(1, -1) : last.toLowerCase();
}

/** What a module's own text shows; what it imports is not read. */
function ofModule(path: string): string[] {
  // What was removed since it was loaded shows nothing.
  const source = (existsSync(path) ? readFileSync(path, 'utf8') : '').replace(
    /\/\*[\s\S]*?\*\/|(?<!:)\/\/[^\r\n]*/g,
    ' ',
  );
  if (!MODULE_WRITES.test(source)) return [];
  const text = withoutDefaults(source)
    .replace(/(?<!\bdo\s*)(\$(?:[A-Za-z_]\w*)?\$)[\s\S]*?\1/gi, ' ')
    .replace(/\bdefault\s+\(*\s*[\w.]+(?:\s*\([^()]*\))?/gi, ' ');
  return [
    ...callsIn(text.replace(OF_MODULE, ' ')),
    ...(text.match(OF_MODULE) ?? []).map((call) => call.replace(/\s*\(.*/s, '')),
  ];
}

/** Without the arguments of `defaultTo`. */
function withoutDefaults(source: string): string {
  const pieces = source.split(/\bdefaultTo\s*\(/);
  return pieces
    .map((piece, at) => (at === 0 ? piece : piece.slice(partsOf(piece).join(',').length)))
    .join(' ');
}
