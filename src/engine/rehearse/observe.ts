import type { LockMode } from '../sql/effects/lock-mode.ts';
import { stronger } from '../sql/effects/lock-mode.ts';

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

const NOW = `extract(epoch from clock_timestamp())::float8 * 1000 as ${OURS}`;

/** Before a migration: the time. */
export const BEGUN = `select ${NOW}`;

/** Before the first one: whose backend it is, and the tables that there are. */
export const SELECT_TABLES = `select pg_backend_pid() as pid, (select json_object_agg(c.oid::int8, json_build_array(
    case when n.nspname = 'public' then c.relname else n.nspname || '.' || c.relname end, c.relfilenode::int8))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm', 'p') and n.nspname not in ('pg_catalog', 'information_schema')) as tables`;

/** Behind a migration: the time, what is locked, and the constraints that are to be deferred again. */
export const OBSERVE = `select ${NOW},
  (select json_agg(json_build_array(l.relation::int8, l.mode, c.relfilenode::int8,
      case when l.mode = 'AccessExclusiveLock' and c.relkind in ('r', 'm') then pg_relation_size(c.oid) end))
    from pg_locks l left join pg_class c on c.oid = l.relation
    where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.granted
      and l.database = (select d.oid from pg_database d where d.datname = current_database())) as locks,
  (select string_agg(distinct format('%I.%I', n.nspname, k.conname), ', ')
    from pg_constraint k join pg_namespace n on n.oid = k.connamespace
    where k.condeferred and not exists (select from pg_constraint o
      where o.conname = k.conname and o.connamespace = k.connamespace and not o.condeferrable)) as deferred`;

/** A row of {@link OBSERVE}. */
export interface Observed {
  [OURS]: number;
  locks: [oid: number, mode: string, file: number | null, bytes: number | null][] | null;
  deferred: string | null;
}

/** A row of {@link SELECT_TABLES}. */
export interface SelectedTables {
  pid: number;
  tables: Record<string, [name: string, file: number]> | null;
}

export function tablesFrom({ tables }: SelectedTables): Tables {
  return new Map(Object.entries(tables ?? {}).map(([oid, [name, file]]) => [Number(oid), { name, file }]));
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

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  observe({ locks }: Pick<Observed, 'locks'>): Observation {
    const taken = new Map<string, LockMode>();
    const rewritten = new Map<string, number>();
    for (const [oid, text, file, bytes] of locks ?? []) {
      // Those that the rehearsal has made are nobody else's.
      const table = this.#tables.get(oid);
      if (!table) continue;
      if (file !== null && file !== table.file) {
        table.file = file;
        rewritten.set(table.name, bytes ?? 0);
      } else if (file !== null && bytes !== null && rewritten.has(table.name))
        rewritten.set(table.name, bytes);
      const held = `${oid} ${text}`;
      if (this.#held.has(held)) continue;
      this.#held.add(held);
      const mode = lockModeFrom(text);
      const before = taken.get(table.name);
      taken.set(table.name, before ? stronger(before, mode) : mode);
    }
    const told = [...taken].filter(([, mode]) => mode !== 'ACCESS SHARE');
    return {
      locks: told.map(([table, mode]) => ({ table, mode })),
      rewritten: [...rewritten].map(([table, bytes]) => ({ table, bytes })),
    };
  }
}
