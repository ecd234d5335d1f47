import { randomBytes } from 'node:crypto';
import { MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { identifier, literal } from '../../postgres/quote.ts';
import type { HistoryTable } from '../history/history.ts';
import type { Migration } from '../migration.ts';
import type { ConcurrentIndex, Trace } from '../sql/nature.ts';
import { split } from '../sql/split.ts';

/** What became of a bare statement that was begun, as far as the catalogs tell. */
export type Verdict = 'done' | 'not done' | 'unknown';

/**
 * Looks up in the catalogs whether a bare statement was done that was begun, and whose end is not known (engine 40);
 * what it left half-made is cleared away, so that it can be run again.
 * @param text the statement
 */
export async function lookUp(
  connection: Connection,
  history: HistoryTable,
  text: string,
  trace: Trace,
): Promise<Verdict> {
  switch (trace.kind) {
    case 'harmless':
      return 'not done';
    case 'none':
      return 'unknown';
    case 'index':
      return lookUpIndex(connection, history, text, trace);
    case 'dropped-index':
      return (await exists(connection, trace.name)) ? 'not done' : 'done';
    case 'detached':
      return lookUpDetached(connection, trace.parent, trace.partition);
  }
}

/**
 * The rows of a query over relations that a migration names: its path says which ones it means, and nothing else is
 * looked up in it.
 * @param sql is given an expression for the oid of each, 0 where there is none
 */
async function named<R>(
  connection: Connection,
  names: readonly string[],
  sql: (oids: readonly string[]) => string,
): Promise<R[]> {
  const { closing } = await connection.settingsAround();
  const message = [lookFor(names), ...closing, sql(names.map((_, index) => foundAt(index)))];
  const { rows } = await connection.raw(message.join(';\n'));
  return rows as R[];
}

const settingOf = (index: number) => `'mpm_migrate.named_${index}'`;

/** Keeps for the rest of the transaction which relations these are in the session as it is; to be read by {@link foundAt}. */
export function lookFor(names: readonly string[]): string {
  const found = names.map(
    (name, index) =>
      `pg_catalog.set_config(${settingOf(index)}, coalesce(pg_catalog.to_regclass(${literal(name)})::pg_catalog.oid::pg_catalog.text, '0'), true)`,
  );
  return `select ${found.join(', ')}`;
}

/** An expression for the oid of a relation that {@link lookFor} looked for; 0: there is none. */
export function foundAt(index: number): string {
  return `pg_catalog.current_setting(${settingOf(index)})::pg_catalog.oid`;
}

async function exists(connection: Connection, name: string): Promise<boolean> {
  const [row] = await named<{ there: boolean }>(connection, [name], ([oid]) => `select ${oid} <> 0 as there`);
  return row?.there ?? false;
}

/** A detached partition is a table like any other; one that is half detached must be detached to the end. */
async function lookUpDetached(connection: Connection, parent: string, partition: string): Promise<Verdict> {
  const [row] = await named<{ there: boolean; pending: boolean | null }>(
    connection,
    [parent, partition],
    ([above, below]) => `select ${above} <> 0 and ${below} <> 0 as there,
  (select i.inhdetachpending from pg_catalog.pg_inherits i where i.inhparent = ${above} and i.inhrelid = ${below}) as pending`,
  );
  if (!row?.there) return 'unknown';
  if (row.pending === null) return 'done';
  if (!row.pending) return 'not done';
  await connection.raw(`alter table ${parent} detach partition ${partition} finalize`);
  return 'done';
}

interface FoundIndex {
  oid: number;
  /** Qualified. */
  name: string;
  valid: boolean;
  /** That of the statement. */
  table: boolean;
  definition: string;
}

async function lookUpIndex(
  connection: Connection,
  history: HistoryTable,
  text: string,
  wanted: ConcurrentIndex,
): Promise<Verdict> {
  // One that the server named cannot be told from one that was there before.
  if (wanted.name === undefined) return 'unknown';
  const { table, name } = wanted;
  const [found] = await named<FoundIndex>(connection, [table], ([oid]) => selectIndex(oid, name));
  // Another table's of this name: then it cannot have been made, and the server will say so again.
  if (!found?.table) return 'not done';
  if (!found.valid) {
    await dropIndex(connection, found.name);
    return 'not done';
  }
  const said = await definitionOf(connection, history, text, wanted);
  return said === found.definition ? 'done' : 'unknown';
}

/** The index of that name in the table's schema, which is where an index is made. */
function selectIndex(table: string | undefined, name: string): string {
  return `select c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) as name, i.indisvalid as valid,
  i.indrelid = t.oid as table, ${DEFINITION} as definition
from pg_catalog.pg_class t join pg_catalog.pg_class c on c.relnamespace = t.relnamespace join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_index i on i.indexrelid = c.oid
where t.oid = ${table} and c.relname = ${literal(name)}`;
}

/** All that a CREATE INDEX says, as the server understood it, but for the names of index and table. */
const DEFINITION = `pg_catalog.concat_ws(' ', c.relam, i.indisunique, pg_catalog.to_jsonb(i)->>'indnullsnotdistinct', i.indnkeyatts, i.indclass, i.indcollation, i.indoption,
  pg_catalog.array_to_string(array(select pg_catalog.pg_get_indexdef(i.indexrelid, k, false) from pg_catalog.generate_series(1, i.indnatts) k order by k), ', '),
  'where', pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'with', c.reloptions, 'in', c.reltablespace)`;

/**
 * What the statement says, in the server's own words: it makes such an index on an empty table with the same columns,
 * which is rolled back. Undefined where that cannot be done.
 */
async function definitionOf(
  connection: Connection,
  { schema }: HistoryTable,
  text: string,
  { table, unique, tableAt }: ConcurrentIndex,
): Promise<string | undefined> {
  const behind = Buffer.from(text).toString('utf8', tableAt);
  const [name] =
    /^(?:"(?:[^"]|"")*"|[\w$\u0080-\uffff]+)(?:\s*\.\s*(?:"(?:[^"]|"")*"|[\w$\u0080-\uffff]+))*/.exec(
      behind,
    ) ?? [];
  if (name === undefined) return undefined;
  const probe = `probe_${randomBytes(8).toString('hex')}`;
  const ours = `${identifier(schema)}.${identifier(probe)}`;
  try {
    await connection.raw(
      `begin;\ncreate table ${ours} (like ${table});\ncreate ${unique ? 'unique ' : ''}index ${identifier(`${probe}_i`)} on ${ours} ${behind.slice(name.length)}`,
    );
    const [made] = await named<FoundIndex>(connection, [ours], ([oid]) => selectIndex(oid, `${probe}_i`));
    return made?.definition;
  } catch (error) {
    if (connection.lost) throw error;
    return undefined;
  } finally {
    if (!connection.lost) await connection.query('rollback');
  }
}

/**
 * The qualified name of that index when it is invalid: what a failed CREATE INDEX CONCURRENTLY leaves behind, and
 * what IF NOT EXISTS then takes for the real thing (engine 11). Without a name: any invalid one of the table.
 */
export async function invalidIndex(
  connection: Connection,
  wanted: ConcurrentIndex,
): Promise<string | undefined> {
  const { table, name } = wanted;
  const which = name === undefined ? 'true' : `c.relname = ${literal(name)}`;
  const [row] = await named<{ name: string }>(
    connection,
    [table],
    ([oid]) => `select pg_catalog.format('%I.%I', n.nspname, c.relname) as name
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.indrelid = ${oid} and not i.indisvalid and ${which} limit 1`,
  );
  return row?.name;
}

/** Whether a table has any invalid index, which is rare: planning {@link invalidIndex} takes half as long as making one. */
export function hasInvalid(table: string): string {
  return `exists (select from pg_catalog.pg_index i where i.indrelid = ${table} and not i.indisvalid)`;
}

/** Drops that index when it is invalid, so that the statement builds it anew. Only one that is named can be ours. */
export async function dropInvalidIndex(connection: Connection, wanted: ConcurrentIndex): Promise<void> {
  if (wanted.name === undefined) return;
  const invalid = await invalidIndex(connection, wanted);
  if (invalid) await dropIndex(connection, invalid);
}

async function dropIndex(connection: Connection, name: string): Promise<void> {
  await connection.raw(`drop index concurrently ${name}`);
}

/**
 * What a CREATE INDEX CONCURRENTLY left half-built is never called applied (engine 11).
 * @throws MpmError PLAN_REFUSED naming the index
 */
export async function requireValidIndexes(connection: Connection, migration: Migration): Promise<void> {
  const { up } = migration;
  if (up.kind !== 'sql' || up.options.transaction) return;
  for (const { nature } of await split(up)) {
    const invalid = nature.trace.kind === 'index' && (await invalidIndex(connection, nature.trace));
    if (!invalid) continue;
    throw new MpmError('PLAN_REFUSED', `${migration.name} is not applied: its index ${invalid} is invalid`, {
      migration: migration.name,
      aftermath: 'nothing was changed here',
      hint: `Rebuild it: mpm-migrate resolve ${migration.name} --tenant {tenant} --retry`,
    });
  }
}
