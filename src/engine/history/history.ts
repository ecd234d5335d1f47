import { identifier, literal } from '../../postgres/quote.ts';
import type { Migration } from '../migration.ts';
import type { HistoryRow } from './state.ts';

/** Where the history is kept. */
export interface HistoryTable {
  schema: string;
  table: string;
  /** Roles whose history is taken for ours; what we create is given to the first (engine 34). */
  owners?: readonly string[] | undefined;
  /** Who owns the ledger in the central database, and so made the histories. */
  ledgerOwner?: string | undefined;
}

/** Who applies, for the row (engine 20). */
export interface Applier {
  run: string;
  toolVersion: string;
  actor?: string | undefined;
}

/** The column of the row that ends a migration's transaction: how long it took (ms). No migration returns one so called. */
export const TOOK = 'mpm_migrate_took';

/** Of the history table and its rows, as this version writes them; 0.1.0's have no such column (engine 57). */
export const FORMAT = 2;

/** Text that a guard puts into its error, so that ours are told apart from the migration's own. */
export const GUARD = {
  locked: 'mpm-migrate: locked',
  moved: 'mpm-migrate: moved',
  untrusted: 'mpm-migrate: untrusted',
  invalid: 'mpm-migrate: invalid',
} as const;

/**
 * A statement that fails with 22P02 and `message` in its text unless `condition` holds. A failing statement
 * ends the rest of its message, so that lock, claim, migration and commit can travel together; plpgsql,
 * which would have RAISE, need not be installed in every database.
 */
export function guard(condition: string, message: string): string {
  return `select (case when ${condition} then '0' else ${literal(message)} end)::int`;
}

/** Schema-qualified, because a migration may have changed the search_path (engine 7). */
export function tableName(history: HistoryTable): string {
  return `${identifier(history.schema)}.${identifier(history.table)}`;
}

/** What of a history is read by every command; the last of them only where the table is not an older version's. */
const STANDING = ['position', 'name', 'checksum', 'state', 'source', 'format'];

/**
 * What a history holds ({@link parseSummary}; `old`: one of an older version). COPY instead of SELECT: it opens no index and
 * asks no planner, and each function costs a look-up; that is most of what a new session's first query takes.
 */
export function copySummary(history: HistoryTable, { old = false } = {}): string {
  return `copy ${tableName(history)} (${(old ? STANDING.slice(0, -1) : STANDING).join(', ')}) to stdout`;
}

/** Which database this is: a pooler may have another one under its name. */
export const SELECT_DATABASE = 'select current_catalog as database';

/** What the head stamp is written with. */
export interface StampInput {
  /** The database's. */
  name: string;
  /** The database's comment, with the head stamp at its end. */
  comment: string | null;
  /** Whether we may write that comment. */
  owner: boolean;
}

/** {@link StampInput} of databases, those that `condition` over pg_database names. */
export function selectStampInput(condition: string, more?: string): string {
  return `select d.datname::text as name, s.description as comment, pg_catalog.pg_has_role(d.datdba, 'USAGE') as owner${more ? `, ${more}` : ''}
from pg_catalog.pg_database d left join pg_catalog.pg_shdescription s
  on s.objoid = d.oid and s.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass
where ${condition}`;
}

/** The head stamp alone, as a text. */
export const SELECT_STAMP = `select s.description from pg_catalog.pg_shdescription s join pg_catalog.pg_database d on s.objoid = d.oid
where s.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass and d.datname = pg_catalog.current_database()`;

/**
 * The same facts for a database without a history, and what else is in it (engine 24). All of them are read by the
 * statement's own snapshot: to_regclass answers from caches, which may be of a moment before it, and then another
 * runner's tables would be seen without the history that stands for them.
 */
export function selectContents(history: HistoryTable): string {
  const present = (schema: string, table: string) =>
    `exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = ${literal(schema)} and c.relname = ${literal(table)})`;
  // The history may lie in a schema of the product's, as `public`.
  const foreign = (name: string) =>
    `n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not (n.nspname = ${literal(history.schema)} and pg_catalog.starts_with(${name}::text, ${literal(history.table)}))`;
  const ours = (catalog: string, oid: string) =>
    `not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and d.objid = ${oid} and d.deptype in ('e', 'i'))`;
  return `select pg_catalog.current_database()::text as database,
  ${present('mpm_migrate', 'runs')} as central,
  ${present(history.schema, history.table)} as bootstrapped,
  ${isEmptied(history)} as emptied,
  array(select o.name::text from (
    select pg_catalog.format('%I.%I', n.nspname, c.relname) as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and ${foreign('c.relname')} and ${ours('pg_class', 'c.oid')}
    union all
    select pg_catalog.format('%I.%I', n.nspname, p.proname) from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where ${foreign('p.proname')} and ${ours('pg_proc', 'p.oid')}
    union all
    select pg_catalog.format('%I.%I', n.nspname, t.typname) from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      where t.typtype in ('e', 'd') and ${foreign('t.typname')} and ${ours('pg_type', 't.oid')}
  ) o order by 1 limit 4) as objects`;
}

/** Gives what we made to whom the configuration names, so that logins which rotate share it. */
export function handOver(history: HistoryTable): string {
  const [owner] = history.owners ?? [];
  return owner === undefined ? '' : `;\nalter table ${tableName(history)} owner to ${identifier(owner)}`;
}

/** The comment of a history which holds nothing because nothing is applied (engine 53). */
const EMPTIED = 'mpm-migrate: nothing is applied here';

/** Whether the table is there by now. */
export function selectThere(history: HistoryTable): string {
  return `select pg_catalog.to_regclass(${literal(tableName(history))}) is not null as there`;
}

/** Says of a history that is left empty that it is meant to be: otherwise its rows could have been lost. */
export function markEmptied(history: HistoryTable): string {
  return `comment on table ${tableName(history)} is ${literal(EMPTIED)}`;
}

export function unmarkEmptied(history: HistoryTable): string {
  return `comment on table ${tableName(history)} is null`;
}

function isEmptied({ schema, table }: HistoryTable): string {
  return `exists (select from pg_catalog.pg_description d join pg_catalog.pg_class c on c.oid = d.objoid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objsubid = 0
      and n.nspname = ${literal(schema)} and c.relname = ${literal(table)} and d.description = ${literal(EMPTIED)})`;
}

/**
 * Creates schema and table. Names are unique by an index alone: migrations that go over the constraints of a database
 * leave it alone (engine 48). The primary key is one, because logical replication needs it. To be run under the
 * lock: twenty sessions of `create … if not exists` collide (engine 17).
 */
export function createHistory(history: HistoryTable): string {
  const [owner] = history.owners ?? [];
  const authorization = owner === undefined ? '' : ` authorization ${identifier(owner)}`;
  return `create schema if not exists ${identifier(history.schema)}${authorization};
create table if not exists ${tableName(history)} (
  position bigint primary key,
  name text collate "C" not null,
  version text not null,
  checksum text not null,
  state text not null check (state in ('running', 'applied', 'failed', 'baseline')),
  statements_done integer not null default 0,
  statements integer,
  statement_hashes text[],
  started_at timestamptz not null,
  finished_at timestamptz,
  duration_ms double precision generated always as (extract(epoch from finished_at - started_at) * 1000) stored,
  tool_version text not null,
  run_id text,
  database_user text not null,
  actor text,
  source text not null,
  error text,
  backend_pid integer,
  backend_start timestamptz,
  statement_begun integer,
  reverting boolean not null default false,
  format smallint not null
);
create unique index if not exists ${identifier(`${history.table}_name_key`)} on ${tableName(history)} (name)${handOver(history)}`;
}

/** What a history made by 0.1.0 does not have. */
export function addProgressColumns(history: HistoryTable): string {
  return `alter table ${tableName(history)} add column if not exists backend_pid integer,
  add column if not exists backend_start timestamptz,
  add column if not exists statement_begun integer,
  add column if not exists reverting boolean not null default false`;
}

/**
 * The pid of that backend while it is there. Who may not see when another role's backend began takes it for the
 * same: a pid comes back only after a long time.
 */
export function backendOf(pid: string, start: string): string {
  return `(select a.pid from pg_catalog.pg_stat_get_activity(${pid}) a
    where a.pid = ${pid} and a.pid <> pg_catalog.pg_backend_pid() and coalesce(a.backend_start = ${start}, true) limit 1)`;
}

/** To be joined to the history `h`: its row, from which the columns are read also where they are not there yet. */
export const JOIN_PROGRESS =
  "cross join lateral (select case when h.state in ('running', 'failed') then pg_catalog.to_jsonb(h) end as row) p";

/** The pid of the backend that is at work at it, another one than this. */
export const AT_WORK = `(case when h.state = 'running' then ${backendOf("(p.row->>'backend_pid')::int", "(p.row->>'backend_start')::timestamptz")} end)`;

export const SELECT_PROGRESS = `(p.row->>'statement_begun')::int as "statementBegun", (p.row->>'backend_pid')::int as "backendPid",
  coalesce((p.row->>'reverting')::boolean, false) as reverting, ${AT_WORK} as "atWork"`;

/**
 * Makes an older version's table this one's. That the column has no default keeps a process of that version from
 * entering rows, which it does without comparing the history first.
 */
export function alterHistory(history: HistoryTable): string {
  return `alter table ${tableName(history)} add column if not exists format smallint not null default ${FORMAT};
alter table ${tableName(history)} alter column format drop default;
${addProgressColumns(history)}`;
}

export function selectRows(history: HistoryTable): string {
  const iso = (column: string) =>
    `pg_catalog.to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  return `select position::int as position, name, version, checksum, state, statements_done as "statementsDone", statements,
  case when state in ('running', 'failed') then statement_hashes end as "statementHashes", ${iso('started_at')} as "startedAt", ${iso('finished_at')} as "finishedAt",
  duration_ms as "durationMs", tool_version as "toolVersion", run_id as "runId", database_user as "databaseUser", actor, source, error,
  ${SELECT_PROGRESS}
from ${tableName(history)} h ${JOIN_PROGRESS} order by position`;
}

/**
 * Claims a migration: the row that only one runner can insert. `position` is the next one as this runner knows
 * the history; when another has moved it on, the primary key refuses (the fence behind the lock).
 */
export function insertClaim(
  history: HistoryTable,
  migration: Migration,
  position: number | string,
  applier: Applier,
  /** Values of columns beside. */
  more: Readonly<Record<string, string>> = {},
): string {
  const [columns, values] = [Object.keys(more), Object.values(more)].map((all) =>
    all.map((each) => `, ${each}`).join(''),
  );
  return `insert into ${tableName(history)} (position, name, version, checksum, state, started_at, tool_version, run_id, database_user, actor, source, format${columns})
values (${position}, ${literal(migration.name)}, ${literal(migration.version)}, ${literal(migration.checksum)}, 'running', pg_catalog.clock_timestamp(), ${literal(applier.toolVersion)}, ${literal(applier.run)}, session_user, ${literal(applier.actor ?? null)}, ${literal(migration.source)}, ${FORMAT}${values})`;
}

/** The rows of migrations that another one brings, from the first position on. */
export function insertBrought(
  history: HistoryTable,
  migrations: readonly Migration[],
  { run, toolVersion, actor }: Applier,
): string {
  const rows = migrations.map(
    ({ name, version, checksum, source }, index) =>
      `(${index + 1}, ${literal(name)}, ${literal(version)}, ${literal(checksum)}, ${literal(source)})`,
  );
  return `insert into ${tableName(history)} (position, name, version, checksum, state, started_at, finished_at, tool_version, run_id, database_user, actor, source, format)
select v.position, v.name, v.version, v.checksum, 'baseline', pg_catalog.transaction_timestamp(), pg_catalog.transaction_timestamp(), ${literal(toolVersion)}, ${literal(run)}, session_user, ${literal(actor ?? null)}, v.source, ${FORMAT}
from (values ${rows.join(', ')}) v (position, name, version, checksum, source)`;
}

/**
 * The row of a migration that is done; its duration comes back as {@link TOOK}. As in {@link insertClaim} the primary key
 * is the fence behind the lock.
 */
export function insertApplied(
  history: HistoryTable,
  migration: Migration,
  position: number,
  applier: Applier,
  /** The migration in front of it in the same message; the first one begins with its message. */
  previous: number | undefined,
): string {
  const table = tableName(history);
  const began =
    previous === undefined
      ? 'pg_catalog.transaction_timestamp()'
      : `(select finished_at from ${table} where position = ${previous})`;
  return `insert into ${table} (position, name, version, checksum, state, started_at, finished_at, tool_version, run_id, database_user, actor, source, format)
values (${position}, ${literal(migration.name)}, ${literal(migration.version)}, ${literal(migration.checksum)}, 'applied', ${began}, pg_catalog.clock_timestamp(), ${literal(applier.toolVersion)}, ${literal(applier.run)}, session_user, ${literal(applier.actor ?? null)}, ${literal(migration.source)}, ${FORMAT})
returning duration_ms as ${TOOK}`;
}

/** Claims the row that a failed or interrupted attempt left, with the migration as it is now. */
export function claimAgain(
  history: HistoryTable,
  migration: Migration,
  row: Pick<HistoryRow, 'position'>,
  applier: Applier,
): string {
  return `with claimed as (update ${tableName(history)} set state = 'running', checksum = ${literal(migration.checksum)},
    statements = null, statements_done = 0, statement_hashes = null,
    started_at = pg_catalog.clock_timestamp(), finished_at = null, error = null, tool_version = ${literal(applier.toolVersion)},
    run_id = ${literal(applier.run)}, database_user = session_user, actor = ${literal(applier.actor ?? null)}
  where position = ${row.position} and name = ${literal(migration.name)} and state in ('running', 'failed')
  returning 1)
${guard('exists (select from claimed)', GUARD.moved)}`;
}

/** Claims an applied migration's row for `down`: no other runner takes it back. */
export function claimDown(history: HistoryTable, row: Pick<HistoryRow, 'position' | 'name'>): string {
  return `with claimed as (update ${tableName(history)} set state = 'running'
  where position = ${row.position} and name = ${literal(row.name)}
  returning 1)
${guard('exists (select from claimed)', GUARD.moved)}`;
}

/** Takes out the row of a migration that was taken back. */
export function deleteReverted(history: HistoryTable, name: string): string {
  return `${deleteRow(history, name)}
returning extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp())::float8 * 1000 as ${TOOK}`;
}

/**
 * Records that a migration failed where part of it was kept; inserts the row when the failure took it along. What another
 * runner has applied in the meantime stays applied.
 */
export function recordFailure(
  history: HistoryTable,
  migration: Migration,
  applier: Applier,
  message: string,
): string {
  const next = `(select coalesce(max(position), 0) + 1 from ${tableName(history)})`;
  return `${insertClaim(history, migration, next, applier)}
on conflict (name) do nothing;
update ${tableName(history)} set state = 'failed', finished_at = pg_catalog.clock_timestamp(), error = ${literal(message)}
where name = ${literal(migration.name)} and state not in ('applied', 'baseline')`;
}

export function recordApplied(history: HistoryTable, name: string): string {
  return `update ${tableName(history)} set state = 'applied', finished_at = pg_catalog.clock_timestamp(), error = null where name = ${literal(name)}
returning duration_ms as ${TOOK}`;
}

export function deleteRow(history: HistoryTable, name: string): string {
  return `delete from ${tableName(history)} where name = ${literal(name)}`;
}
