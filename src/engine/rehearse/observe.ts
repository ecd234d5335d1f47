import type { LockMode } from '../sql/effects/lock-mode.ts';
import { isAtLeast, stronger } from '../sql/effects/lock-mode.ts';
import type { Answer } from '../../postgres/message.ts';
import { parseCopyRows } from '../history/summary.ts';

/** A table as it was found. */
interface Table {
  /** With its schema, unless that is `public`. */
  name: string;
  /** The file that holds it. */
  file: number;
}

/** The tables of a database before anything was run, by their OIDs. */
export type Tables = Map<number, Table>;

/** What a migration really did. */
export interface Observation {
  /** The strongest lock on each table that was there before; not those that an earlier one of the rehearsal has taken. */
  locks: { table: string; mode: LockMode }[];
  /** Tables that got a new file, and its size in bytes. */
  rewritten: { table: string; bytes: number }[];
}

/** The column by which our own rows are told from a migration's. */
export const OURS = 'mpm_migrate_rehearsal';

/** Before and behind a migration: the time, in seconds. */
export const NOW = `select extract(epoch from clock_timestamp()) as ${OURS}`;

/** COPY, because the first query of a session that plans a scan costs a quarter of what the connection itself does. */
const SELECT_FILES = 'copy pg_class (oid, relfilenode, relkind, relnamespace, relname) to stdout';

/** Before the first one: whose backend it is, and the tables that there are. */
export const SELECT_TABLES = [
  'select pg_backend_pid() as pid',
  'copy pg_namespace (oid, nspname) to stdout',
  SELECT_FILES,
];

/** Behind a migration: what is locked, and the tables as they are then. */
export const OBSERVE = [
  'select l.relation, l.mode from pg_lock_status() l where l.pid = pg_backend_pid()',
  'copy pg_class (oid, relfilenode) to stdout',
];

/** The constraints that are to be deferred again, as SQL. */
export const SELECT_DEFERRED = `select string_agg(distinct format('%I.%I', n.nspname, k.conname), ', ') as deferred
from pg_constraint k join pg_namespace n on n.oid = k.connamespace
where k.condeferred and not exists (select from pg_constraint o
  where o.conname = k.conname and o.connamespace = k.connamespace and not o.condeferrable)`;

/** How large tables are. */
export function selectSizes(oids: readonly number[]): string {
  return `select oid::int8::float8 as oid, pg_relation_size(oid)::float8 as bytes from pg_class where oid in (${oids.join(', ')})`;
}

/** What {@link SELECT_TABLES} returned. */
export function tablesFrom(copied: readonly string[]): Tables {
  const [schemas = '', classes = ''] = copied;
  const names = new Map(parseCopyRows(schemas).map(([oid, name]) => [oid, name ?? '']));
  const tables: Tables = new Map();
  // Most relations are none of these.
  const found = (classes.match(/^\d+\t\d+\t[rmp]\t.*\n/gm) ?? []).join('');
  for (const [oid, file, , schema, relation] of parseCopyRows(found)) {
    const schemaName = names.get(schema ?? '') ?? '';
    if (schemaName === 'pg_catalog' || schemaName === 'information_schema') continue;
    const name = schemaName === 'public' ? `${relation}` : `${schemaName}.${relation}`;
    tables.set(Number(oid), { name, file: Number(file) });
  }
  return tables;
}

/** `AccessExclusiveLock` of pg_locks as `LOCK TABLE` has it. */
export function lockModeFrom(mode: string): LockMode {
  return mode
    .replace(/Lock$/, '')
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase() as LockMode;
}

/** Compares what is observed at each migration with what was observed before. */
export class Observer {
  readonly #tables: Tables;
  readonly #held = new Set<string>();
  /** Tables, by their names, that others can't change, or not even read. */
  readonly blocked = new Set<string>();

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /**
   * @param answer of {@link OBSERVE}
   * @param sizesOf asks for the sizes of tables, by their OIDs
   */
  async observe(
    { results, copied }: Pick<Answer, 'results' | 'copied'>,
    sizesOf: (oids: readonly number[]) => Promise<ReadonlyMap<number, number>>,
  ): Promise<Observation> {
    const taken = new Map<string, LockMode>();
    for (const { relation: oid, mode: text } of results[0]?.rows ?? []) {
      // Those that the rehearsal has made are nobody else's.
      const table = this.#tables.get(Number(oid));
      const held = `${oid} ${text}`;
      if (!table || this.#held.has(held)) continue;
      this.#held.add(held);
      const mode = lockModeFrom(String(text));
      if (isAtLeast(mode, 'SHARE')) this.blocked.add(table.name);
      const before = taken.get(table.name);
      taken.set(table.name, before ? stronger(before, mode) : mode);
    }
    const anew: number[] = [];
    for (const line of (copied[0] ?? '').split('\n')) {
      const tab = line.indexOf('\t');
      const oid = Number(line.slice(0, tab));
      const table = this.#tables.get(oid);
      if (!table) continue;
      const file = Number(line.slice(tab + 1));
      if (table.file === file) continue;
      table.file = file;
      anew.push(oid);
    }
    const sizes = anew.length ? await sizesOf(anew) : new Map<number, number>();
    const told = [...taken].filter(([, mode]) => mode !== 'ACCESS SHARE');
    return {
      locks: told.map(([table, mode]) => ({ table, mode })),
      rewritten: anew.map((oid) => ({
        table: this.#tables.get(oid)?.name ?? '',
        bytes: sizes.get(oid) ?? 0,
      })),
    };
  }
}
