import { isServerError } from '../../postgres/sqlstate.ts';
import type { Connection } from '../../postgres/connection.ts';
import { identifier } from '../../postgres/quote.ts';

/** What a login may do on its server, and what is set for it there. */
export interface Rights {
  user: string;
  /** The superuser that the server was made with, from which nothing can be taken. */
  bootstrap: boolean;
  /** Attributes that are not needed, as `alter role` names them. */
  attributes: string[];
  /** Roles that it is a member of, through which it is as good as a superuser. */
  groups: string[];
  /** Tables of the database that is connected to have policies, past which `bypassrls` may be needed. */
  policies: boolean;
  /** Where transactions are set read-only, each with the statement that takes it back. */
  readOnly: { where: string; mend: string }[];
}

/** Rights to read or write the server's files, or to run programs there, lead to everything else. */
const AS_GOOD_AS_SUPERUSER = `(r.rolsuper or r.rolname in ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))`;

/** Reads them; changes nothing. */
export async function readRights(connection: Connection): Promise<Rights> {
  const [row] = await connection.query<Rights>(
    `select session_user::text as user, u.oid = 10 as bootstrap, x.policies,
  array_remove(array[case when u.rolsuper then 'superuser' end, case when u.rolcreaterole then 'createrole' end,
    case when u.rolreplication then 'replication' end, case when u.rolbypassrls and not x.policies then 'bypassrls' end]::text[], null) as attributes,
  array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid
    where m.member = u.oid and not u.rolsuper
      and exists (select from pg_roles r where ${AS_GOOD_AS_SUPERUSER} and pg_has_role(g.oid, r.oid, 'MEMBER'))
    order by g.rolname) as groups,
  (select coalesce(json_agg(json_build_object('where', w.place, 'mend', w.mend) order by w.place), '[]') from (
    select case when s.setrole <> 0 then format('the role "%s"', pg_get_userbyid(s.setrole)) else '' end
        || case when s.setrole <> 0 and s.setdatabase <> 0 then ' in ' else '' end
        || case when s.setdatabase <> 0 then format('the database "%s"', d.datname) else '' end as place,
      format('alter %s%s reset default_transaction_read_only;',
        case when s.setrole <> 0 then format('role %I', pg_get_userbyid(s.setrole)) else format('database %I', d.datname) end,
        case when s.setrole <> 0 and s.setdatabase <> 0 then format(' in database %I', d.datname) else '' end) as mend
    from pg_db_role_setting s left join pg_database d on d.oid = s.setdatabase
    where s.setrole in (0, u.oid) and exists (select from unnest(s.setconfig) c
      where lower(c) in ('default_transaction_read_only=on', 'default_transaction_read_only=true', 'default_transaction_read_only=yes', 'default_transaction_read_only=1'))
    union all
    select 'the server''s configuration', 'alter system reset default_transaction_read_only; select pg_reload_conf();'
    from pg_settings p where p.name = 'default_transaction_read_only' and p.setting = 'on' and p.source = 'configuration file') w
  ) as "readOnly"
from pg_roles u, (select exists (select from pg_class c where c.relrowsecurity) as policies) x where u.rolname = session_user`,
  );
  if (!row) throw new Error('the server knows nothing of its user');
  return row;
}

/** The statement after which this login, or one made for it, has just enough (engine 36). */
export function justEnough({ user, bootstrap, groups, policies }: Rights): string {
  const enough = `createdb nosuperuser nocreaterole noreplication ${policies ? '' : 'no'}bypassrls;`;
  if (bootstrap) return `create role "mpm_migrator" login ${enough}`;
  const leave = groups.map((group) => ` revoke ${identifier(group)} from ${identifier(user)};`).join('');
  return `alter role ${identifier(user)} ${enough}${leave}`;
}

/**
 * Writes something, and takes it back: nothing is left of it, also when it fails.
 * @param sql takes no number from a sequence, because that would stay
 * @throws MpmError READ_ONLY; what the server says otherwise
 */
export async function tryWriting(connection: Connection, sql: string): Promise<void> {
  await connection.query('begin');
  try {
    await connection.query(sql);
  } finally {
    await connection.query('rollback').catch((error: unknown) => {
      // A lost connection has rolled back by itself.
      if (isServerError(error)) throw error;
    });
  }
}

/** A row of the ledger as `up` writes one. */
export const LEDGER_ROW = `insert into mpm_migrate.runs (number, verb, selection, tool_version, host, pid, pid_space)
overriding system value values (-1, 'doctor', '', '', '', 0, '')`;

/** Needs no right of its own. The first statement is refused by a hot standby in words that say so. */
export const LARGE_OBJECT = 'drop table if exists pg_temp.mpm_migrate_doctor; select lo_create(0)';
