import { MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { literal } from '../../postgres/quote.ts';
import { isServerError, SQLSTATE } from '../../postgres/sqlstate.ts';
import { GUARD, guard, type HistoryTable } from './history.ts';

/** The role that is set on the session user's login (`alter role … set role`), not one that a database sets. */
const ROLE_OF_LOGIN = `(select pg_catalog.substr(s.setting, 6)
  from pg_catalog.pg_db_role_setting r, pg_catalog.unnest(r.setconfig) as s (setting)
  where r.setrole = pg_catalog.to_regrole(pg_catalog.quote_ident(session_user))
    and r.setdatabase in (0, (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()))
    and pg_catalog.starts_with(s.setting, 'role=') order by r.setdatabase desc limit 1)`;

/**
 * Whether what belongs to this role is ours (engine 34). Compared with session_user: `alter database … set role`
 * makes current_user whomever the database's owner wants.
 * @param role an expression for its oid
 */
function trusted(role: string, history: HistoryTable): string {
  // Whose the schema public is from PostgreSQL 15 on: a role that nobody but the database's owner is a member of.
  const owner = `exists (select from pg_catalog.pg_database o where o.datname = pg_catalog.current_database() and ${isNamed('o.datdba', history)})`;
  return `(${isNamed(role, history)} or pg_catalog.pg_get_userbyid(${role}) = 'pg_database_owner' and ${owner})`;
}

function isNamed(role: string, { owners = [], ledgerOwner }: HistoryTable): string {
  const names = [...owners, ...(ledgerOwner === undefined ? [] : [ledgerOwner])].map(literal);
  const name = `pg_catalog.pg_get_userbyid(${role})`;
  return `(${name} in (${['session_user', ...names].join(', ')}) or ${isSuperuser(role)} or coalesce(${name} = ${ROLE_OF_LOGIN}, false))`;
}

/** Only a superuser can truncate a catalog, and asking that plans no query, which each new session would pay for. */
export function isSuperuser(role: string): string {
  return `pg_catalog.has_table_privilege(${role}, 1260::oid, 'truncate')`;
}

/** The table's row in pg_class and its schema's, by their names. */
function named({ schema, table }: HistoryTable): string {
  return `pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = ${literal(schema)} and c.relname = ${literal(table)}`;
}

/** Whether a table of ours may be read: its owners, and what it is. True also when there is none. */
export function mayBeRead(history: HistoryTable): string {
  return `not exists (select from ${named(history)} and not (c.relkind = 'r' and not c.relrowsecurity
    and ${trusted('c.relowner', history)} and ${trusted('n.nspowner', history)}))`;
}

/**
 * Fails with {@link GUARD}.untrusted unless the table may be written to: nothing that is attached to it runs anybody's
 * code, and nobody else can change it. It goes by flags that PostgreSQL does not always take back, so that after a
 * failure {@link refuseUntrusted} looks closely.
 */
export function guardTrusted(connection: Connection, history: HistoryTable): string[] {
  if (examined.has(connection)) return [];
  const plain = `c.relkind = 'r' and c.relpersistence = 'p' and not c.relrowsecurity and not c.relforcerowsecurity
    and not c.relhastriggers and not c.relhasrules and not c.relhassubclass and not c.relispartition and c.reloftype = 0`;
  const grants = `(c.relacl is null or not exists (select from pg_catalog.aclexplode(c.relacl) a
    where a.privilege_type <> 'SELECT' and not ${trusted('a.grantee', history)}))
    and (n.nspacl is null or not exists (select from pg_catalog.aclexplode(n.nspacl) a
    where a.privilege_type <> 'USAGE' and not ${trusted('a.grantee', history)}))`;
  const sound = `exists (select from ${named(history)} and ${plain}
    and ${trusted('c.relowner', history)} and ${trusted('n.nspowner', history)} and ${grants}
    and not exists (${attachedTo('c.oid')}) and not exists (${COLUMN_GRANTS}))`;
  return [guard(sound, GUARD.untrusted)];
}

/** Rights on single columns. */
const COLUMN_GRANTS = `select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attacl is not null`;

/** The catalogs of what runs. */
const CODE = `('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass,
      'pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass)`;

/**
 * What a table's columns, defaults, constraints, indexes and policies are made of that is not PostgreSQL's own:
 * functions, operators, types. Of what is its own, and pinned, pg_depend keeps no row.
 */
function attachedTo(table: string): string {
  return `select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = ${table}
    and (d.refclassid in ${CODE} or d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass)
  union all select from pg_catalog.pg_depend p join pg_catalog.pg_depend d on d.classid = p.classid and d.objid = p.objid
    where p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and p.refobjid = ${table} and p.classid in
      ('pg_catalog.pg_attrdef'::pg_catalog.regclass, 'pg_catalog.pg_constraint'::pg_catalog.regclass,
       'pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass)
      and (d.refclassid in ${CODE} or p.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass)`;
}

/** Connections on which the history was found sound, whatever the flags say. */
const examined = new WeakSet<Connection>();

export function isExamined(connection: Connection): boolean {
  return examined.has(connection);
}

/** The history was found sound on this connection: it is not looked at again. */
export function noteExamined(connection: Connection): void {
  examined.add(connection);
}

/** What is wrong with a table of ours, and the statement that mends it. */
interface Flaw {
  what: string;
  mend: string;
}

/** Each of what {@link mayBeRead} and {@link guardTrusted} refuse, in words. */
function selectFlaws(history: HistoryTable): string {
  const { schema, owners = [] } = history;
  const heir = owners[0] === undefined ? 'session_user' : literal(owners[0]);
  const on = `pg_catalog.format('%I.%I', n.nspname, c.relname)`;
  const flaw = (what: string, mend: string, from: string) =>
    `pg_catalog.format(${what}) as what, pg_catalog.format(${mend}) as mend from ${from}`;
  const of = (more: string) => named(history).replace(/\n\s+where/, `${more} where`);
  const grantee = `case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end`;
  const said = `case a.grantee when 0 then 'everybody' else pg_catalog.format('"%s"', pg_catalog.pg_get_userbyid(a.grantee)) end`;
  const foreign = `a.grantee <> c.relowner and not ${trusted('a.grantee', history)}`;
  return [
    flaw(
      `'the schema %I belongs to "%s"', n.nspname, pg_catalog.pg_get_userbyid(n.nspowner)`,
      `'alter schema %I owner to %I;', n.nspname, ${heir}`,
      `pg_catalog.pg_namespace n where n.nspname = ${literal(schema)} and not ${trusted('n.nspowner', history)}`,
    ),
    flaw(
      `'%s belongs to "%s"', ${on}, pg_catalog.pg_get_userbyid(c.relowner)`,
      `'alter table %s owner to %I;', ${on}, ${heir}`,
      `${named(history)} and not ${trusted('c.relowner', history)}`,
    ),
    flaw(
      `'%s is not an ordinary table', ${on}`,
      `case c.relkind when 'v' then 'drop view %s;' when 'm' then 'drop materialized view %s;' when 'r' then case when c.reloftype <> 0 then 'alter table %s not of;' else 'alter table %s set logged;' end else 'drop table %s;' end, ${on}`,
      `${named(history)} and (c.relkind <> 'r' or c.relpersistence <> 'p' or c.reloftype <> 0)`,
    ),
    flaw(
      `'%s has row security', ${on}`,
      `'alter table %s no force row level security, disable row level security;', ${on}`,
      `${named(history)} and (c.relrowsecurity or c.relforcerowsecurity)`,
    ),
    flaw(
      `'%s has the policy %I', ${on}, p.polname`,
      `'drop policy %I on %s;', p.polname, ${on}`,
      of(' join pg_catalog.pg_policy p on p.polrelid = c.oid'),
    ),
    flaw(
      `'%s has the trigger %I', ${on}, t.tgname`,
      `'drop trigger %I on %s;', t.tgname, ${on}`,
      `${of(' join pg_catalog.pg_trigger t on t.tgrelid = c.oid')} and not t.tgisinternal`,
    ),
    flaw(
      `'%s has the rule %I', ${on}, r.rulename`,
      `'drop rule %I on %s;', r.rulename, ${on}`,
      `${of(' join pg_catalog.pg_rewrite r on r.ev_class = c.oid')} and c.relkind = 'r'`,
    ),
    flaw(
      `'%s and %s are one table by inheritance', i.inhrelid::pg_catalog.regclass, i.inhparent::pg_catalog.regclass`,
      `case when p.relkind = 'p' then 'alter table %2$s detach partition %1$s;' else 'alter table %1$s no inherit %2$s;' end, i.inhrelid::pg_catalog.regclass, i.inhparent::pg_catalog.regclass`,
      of(
        ' join pg_catalog.pg_inherits i on c.oid in (i.inhrelid, i.inhparent) join pg_catalog.pg_class p on p.oid = i.inhparent',
      ),
    ),
    flaw(
      `'the column %I of %s has the type %s', a.attname, ${on}, pg_catalog.format_type(a.atttypid, a.atttypmod)`,
      `'alter table %s drop column %I;', ${on}, a.attname`,
      `${of(' join pg_catalog.pg_attribute a on a.attrelid = c.oid join pg_catalog.pg_type t on t.oid = a.atttypid')}
  and a.attnum > 0 and not a.attisdropped and (t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace or t.typtype <> 'b')`,
    ),
    flaw(
      `'the column %I of %s is filled in by code that is not PostgreSQL''s', a.attname, ${on}`,
      `'alter table %s drop column %I;', ${on}, a.attname`,
      `${of(' join pg_catalog.pg_attrdef e on e.adrelid = c.oid join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = e.adnum')}
  and ${runsCode('pg_attrdef', 'e.oid')}`,
    ),
    flaw(
      `'%s has the constraint %I', ${on}, k.conname`,
      `'alter table %s drop constraint %I;', k.conrelid::pg_catalog.regclass, k.conname`,
      `${of(' join pg_catalog.pg_constraint k on c.oid in (k.conrelid, k.confrelid)')}
  and (k.contype not in ('p', 'u', 'c', 'n') or ${runsCode('pg_constraint', 'k.oid')})`,
    ),
    flaw(
      `'%s has the index %s', ${on}, i.indexrelid::pg_catalog.regclass`,
      `'drop index %s;', i.indexrelid::pg_catalog.regclass`,
      `${of(' join pg_catalog.pg_index i on i.indrelid = c.oid')} and ${runsCode('pg_class', 'i.indexrelid')}`,
    ),
    flaw(
      `'%s may %s on %s', ${said}, pg_catalog.lower(a.privilege_type), ${on}`,
      `'revoke %s on %s from %s;', pg_catalog.lower(a.privilege_type), ${on}, ${grantee}`,
      `${of(' cross join lateral pg_catalog.aclexplode(c.relacl) a')} and a.privilege_type <> 'SELECT' and ${foreign}`,
    ),
    flaw(
      `'%s has rights on the column %I of %s', ${said}, u.attname, ${on}`,
      `'revoke %s (%I) on %s from %s;', pg_catalog.lower(a.privilege_type), u.attname, ${on}, ${grantee}`,
      of(
        ' join pg_catalog.pg_attribute u on u.attrelid = c.oid cross join lateral pg_catalog.aclexplode(u.attacl) a',
      ),
    ),
    flaw(
      `'%s may create objects in the schema %I', ${said}, n.nspname`,
      `'revoke create on schema %I from %s;', n.nspname, ${grantee}`,
      `pg_catalog.pg_namespace n cross join lateral pg_catalog.aclexplode(n.nspacl) a where n.nspname = ${literal(schema)}
  and a.privilege_type = 'CREATE' and a.grantee <> n.nspowner and not ${trusted('a.grantee', history)}`,
    ),
  ]
    .map((each, nr) => `select ${nr} as nr, ${each}`)
    .join('\nunion all ');
}

/** Whether an object of this catalog is made of functions, operators or types that are not PostgreSQL's own. */
function runsCode(catalog: string, oid: string): string {
  return `exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and d.objid = ${oid}
    and d.refclassid in ${CODE})`;
}

/** Beside the history: what was changed by hand, and what was there before. */
export function journalTable({ table }: HistoryTable): string {
  return `${table}_journal`;
}

/** Whether a guard of {@link mayBeRead} or {@link guardTrusted} has failed. */
export function isUntrusted(error: unknown): boolean {
  return (
    isServerError(error) && error.code === SQLSTATE.invalidText && error.message.includes(GUARD.untrusted)
  );
}

/**
 * Looks closely at tables of ours after a guard has failed, outside of any transaction; when they are sound, the guards
 * say nothing more on this connection.
 * @throws MpmError HISTORY_UNTRUSTED: what is wrong, and the statements that mend it
 */
export async function refuseUntrusted(connection: Connection, history: HistoryTable): Promise<void> {
  const { schema, table } = history;
  const all = [table, journalTable(history)].map((each) => selectFlaws({ ...history, table: each }));
  const flaws = await connection.query<Flaw>(`${all.join('\nunion ')}\norder by nr, what`);
  if (flaws.length === 0) {
    noteExamined(connection);
    return;
  }
  throw untrusted(connection.database, `${schema}.${table}`, flaws);
}

function untrusted(database: string, table: string, flaws: readonly Flaw[]): MpmError {
  const [first] = flaws;
  const more = flaws.length > 1 ? `, and ${flaws.length - 1} more` : '';
  const mend = flaws.map((flaw) => flaw.mend).join('\n');
  return new MpmError(
    'HISTORY_UNTRUSTED',
    `the history ${table} in "${database}" is not to be trusted: ${first?.what}${more}`,
    {
      subject: database,
      aftermath: 'nothing was changed here',
      hint: `Another role can write to it, or make it run their code. If it is yours anyway, run as its owner or a superuser:
${mend}`,
    },
  );
}
