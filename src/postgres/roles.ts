import type { Result } from './message.ts';

/** How long what a server says is believed, ms. */
const BELIEVED = 60_000;

/**
 * Which roles are set on logins (`alter role … set role`); only those who may manage a login can do that. What a
 * database sets for whoever connects is its owner's word, and not followed (engine 34).
 */
const SELECT_SET_ROLES = `select r.rolname::pg_catalog.text as login, coalesce(d.datname, '')::pg_catalog.text as database,
  pg_catalog.substr(c.setting, 6) as role
from pg_catalog.pg_db_role_setting s join pg_catalog.pg_roles r on r.oid = s.setrole
  left join pg_catalog.pg_database d on d.oid = s.setdatabase, pg_catalog.unnest(s.setconfig) as c (setting)
where pg_catalog.starts_with(c.setting, 'role=')`;

const SELECT_ROLES = `select oid::pg_catalog.text as oid, rolname::pg_catalog.text as name, rolsuper as superuser from pg_catalog.pg_roles`;

/** Whether an idle session may be ended somewhere: by the server's configuration, or for a role or a database. */
const SELECT_ENDS_IDLE = `select pg_catalog.current_setting('idle_session_timeout') <> '0' or exists (
  select from pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) as c (setting)
  where pg_catalog.starts_with(c.setting, 'idle_session_timeout=')) as "endsIdle"`;

interface SetRole {
  login: string;
  database: string;
  role: string;
}

interface Role {
  oid: string;
  name: string;
  superuser: boolean;
}

/** What a server said of its roles. */
interface ServerRoles {
  readAt: number;
  /** A login's role in force, for one database or for all of them (`''`). */
  set: ReadonlyMap<string, string>;
  byOid: ReadonlyMap<string, Role>;
  endsIdle: boolean;
}

/** The roles of a server, as a session there sees them. */
export interface SessionRoles {
  /** Whom the session logged in as. */
  login: string;
  /** The role that is set on the login; none: the login itself is the role. */
  role: string | undefined;
  /** A role's name, and whether it is a superuser's; undefined for one that is newer than what the server said. */
  find(oid: string): { name: string; superuser: boolean } | undefined;
  /** Whether `idle_session_timeout` may be set for this session. */
  endsIdle: boolean;
}

const servers = new Map<string, ServerRoles>();
const keyOf = (login: string, database: string) => `${login}\n${database}`;

/**
 * Asks a server and keeps what it says.
 * @param server its host and port
 * @param send returns what each statement returned
 */
export async function learnRoles(
  server: string,
  send: (sql: string) => Promise<readonly Result[]>,
): Promise<void> {
  const results = await send([SELECT_SET_ROLES, SELECT_ROLES, SELECT_ENDS_IDLE].join(';\n'));
  const [set, roles, idle] = results.map(({ rows }) => rows as unknown);
  servers.set(server, {
    readAt: performance.now(),
    set: new Map((set as SetRole[]).map(({ login, database, role }) => [keyOf(login, database), role])),
    byOid: new Map((roles as Role[]).map((role) => [role.oid, role])),
    endsIdle: (idle as { endsIdle: boolean }[])[0]?.endsIdle ?? true,
  });
}

/** Asks the servers anew: who begins something wants what is true now. */
export function forgetRoles(): void {
  servers.clear();
}

/** What is known of a server's roles for a login in a database; undefined when the server has to be asked. */
export function knownRoles(server: string, login: string, database: string): SessionRoles | undefined {
  const known = servers.get(server);
  if (!known || performance.now() - known.readAt > BELIEVED) return undefined;
  const role = known.set.get(keyOf(login, database)) ?? known.set.get(keyOf(login, ''));
  return {
    login,
    role: role === 'none' ? undefined : role,
    find: (oid) => known.byOid.get(oid),
    endsIdle: known.endsIdle,
  };
}
