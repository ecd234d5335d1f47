/** A login's roles in force: for one database, or for all of them (`''`). */
type Roles = ReadonlyMap<string, string>;

/** How long what a server says is believed, ms. */
const BELIEVED = 60_000;

const servers = new Map<string, { readAt: number; roles: Roles }>();

/**
 * Which roles are set on logins (`alter role … set role`); only those who may manage a login can do that. What a
 * database sets for whoever connects is its owner's word, and not followed (engine 34).
 */
export const SELECT_LOGIN_ROLES = `select r.rolname::pg_catalog.text as login, coalesce(d.datname, '')::pg_catalog.text as database,
  pg_catalog.substr(c.setting, 6) as role
from pg_catalog.pg_db_role_setting s join pg_catalog.pg_roles r on r.oid = s.setrole
  left join pg_catalog.pg_database d on d.oid = s.setdatabase, pg_catalog.unnest(s.setconfig) as c (setting)
where pg_catalog.starts_with(c.setting, 'role=')`;

export interface LoginRole {
  login: string;
  database: string;
  role: string;
}

const keyOf = (login: string, database: string) => `${login}\n${database}`;

/** Keeps what a server said of its logins. @param server its host and port */
export function rememberLoginRoles(server: string, rows: readonly LoginRole[]): void {
  const roles = new Map(rows.map(({ login, database, role }) => [keyOf(login, database), role]));
  servers.set(server, { readAt: performance.now(), roles });
}

/** Asks the servers anew: who begins something wants what is true now. */
export function forgetLoginRoles(): void {
  servers.clear();
}

/** The role of a login in a database; null when the server has to be asked. */
export function knownLoginRole(
  server: string,
  login: string,
  database: string,
): { role: string | undefined } | null {
  const known = servers.get(server);
  if (!known || performance.now() - known.readAt > BELIEVED) return null;
  const role = known.roles.get(keyOf(login, database)) ?? known.roles.get(keyOf(login, ''));
  return { role: role === 'none' ? undefined : role };
}
