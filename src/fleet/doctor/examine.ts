import { type Central, withCentral } from '../../central/central.ts';
import { readPool } from '../../central/pool.ts';
import { readBuildingNames } from '../../central/list/provisioning.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { type HistoryTable, tableName } from '../../engine/history/history.ts';
import { isStamped } from '../../engine/history/stamp.ts';
import { mayBeRead } from '../../engine/history/trust.ts';
import type { Connection } from '../../postgres/connection.ts';
import { placeOf, withConnection } from '../../postgres/connect.ts';
import { findDatabases, unfitness } from '../../postgres/database.ts';
import { literal } from '../../postgres/quote.ts';
import { compareServers, systemIdentifier } from '../../postgres/address.ts';
import { LARGE_OBJECT, readRights, type Rights, tryWriting } from './rights.ts';
import { directUrlOf, withServer } from '../../tenants/server.ts';

/** What a server says of itself and of us. */
export interface ServerFacts {
  /** As `server_version_num`. */
  version: number;
  versionText: string;
  /** The system identifier; copies and standbys have their original's. Undefined where we may not read it. */
  identity?: string;
  /** Another process answers than the one we connected to. */
  pooled: boolean;
  user: string;
  createdb: boolean;
  /** ms by which its clock is ahead of ours. */
  clock: number;
  /** Connections that we could still open, of how many. */
  free: number;
  connections: number;
  databases: DatabaseFact[];
  rights: Rights;
  /** Why it took no write, where it took none. */
  writing?: { error: unknown };
}

/** A database that could be a tenant's. */
export interface DatabaseFact {
  name: string;
  /** Our user may do what its owner may. */
  owned: boolean;
  open: boolean;
  /** False: a DROP DATABASE was interrupted. */
  valid: boolean;
  /** Why a template or a database of the pool should be made anew; else null. */
  unfit: string | null;
  /** Our head stamp is on it. */
  stamped: boolean;
  /** PUBLIC may connect to it. */
  everybody: boolean;
  /** What it sets of names and rights, for whoever connects or for our login there. */
  sets: DatabaseSetting[];
}

/** As `alter database … set` and `alter role … in database … set` leave it. */
export interface DatabaseSetting {
  name: 'role' | 'search_path';
  value: string;
  /** For our login alone. */
  login: boolean;
}

/** Reads them; changes nothing. @throws MpmError of the connection */
export async function examineServer(config: Config, name: string): Promise<ServerFacts> {
  return withServer(config, name, async (connection) => {
    const before = Date.now();
    const [facts] = await connection.query<
      Omit<ServerFacts, 'pooled' | 'clock' | 'databases' | 'rights' | 'writing'> & {
        now: string;
        pid: number;
      }
    >(
      `select current_setting('server_version_num')::int as version, current_setting('server_version') as "versionText",
  pg_backend_pid() as pid, session_user::text as user,
  (extract(epoch from clock_timestamp()) * 1000)::text as now, r.rolcreatedb or r.rolsuper as createdb,
  least(case when r.rolconnlimit < 0 then m.most else r.rolconnlimit end, m.most) as connections,
  least(case when r.rolconnlimit < 0 then m.most else r.rolconnlimit - a.own end, m.most - a.used)::int as free
from pg_roles r,
  (select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as most) m,
  (select count(*) as used, count(*) filter (where usename = session_user) as own from pg_stat_activity where backend_type = 'client backend') a
where r.rolname = session_user`,
    );
    if (!facts) throw new Error('the server knows nothing of its user');
    const { now, pid, ...rest } = facts;
    const identity = await systemIdentifier(connection);
    const rights = await readRights(connection);
    const writing = await tryWriting(connection, LARGE_OBJECT).catch((error: unknown) => ({ error }));
    return {
      ...rest,
      ...(identity === undefined ? {} : { identity }),
      clock: Number(now) - (before + Date.now()) / 2,
      pooled: pid !== connection.backendPid,
      databases: await readDatabases(connection),
      rights,
      ...(writing ? { writing } : {}),
    };
  });
}

/** Names of servers that lead to one server, and those of which one is a copy or a standby of the other. */
export interface Aliases {
  /** Each name in one group. */
  groups: string[][];
  copies: { name: string; of: string }[];
}

/** Finds out which names lead to one server; who has another system identifier is not asked. */
export async function findAliases(
  config: Config,
  servers: ReadonlyMap<string, Pick<ServerFacts, 'identity'>>,
): Promise<Aliases> {
  const groups: string[][] = [];
  const copies: Aliases['copies'] = [];
  for (const [name, { identity }] of servers) {
    let own: string[] | undefined;
    for (const group of groups) {
      const [first = ''] = group;
      const other = servers.get(first)?.identity;
      if (own || (identity !== undefined && other !== undefined && identity !== other)) continue;
      const sameness = await withServer(config, first, (one) =>
        withServer(config, name, (two) => compareServers(one, two)),
      );
      if (sameness === 'same') own = group;
      else if (sameness === 'copy') copies.push({ name, of: first });
    }
    if (own) own.push(name);
    else groups.push([name]);
  }
  return { groups, copies };
}

async function readDatabases(connection: Connection): Promise<DatabaseFact[]> {
  const rows = await connection.query<Omit<DatabaseFact, 'stamped'> & { comment: string | null }>(
    `select datname::text as name, pg_has_role(datdba, 'USAGE') as owned, datallowconn as open, datconnlimit <> -2 as valid,
  ${unfitness(connection)} as unfit,
  datallowconn and has_database_privilege('public', oid, 'connect') as everybody,
  (select coalesce(json_agg(json_build_object('name', c.name, 'value', c.value, 'login', s.setrole <> 0) order by c.name, s.setrole), '[]')
    from pg_db_role_setting s,
      lateral (select split_part(each, '=', 1) as name, substr(each, strpos(each, '=') + 1) as value from unnest(s.setconfig) each) c
    where s.setdatabase = d.oid and c.name in ('role', 'search_path')
      and s.setrole in (0, (select oid from pg_roles where rolname = session_user))) as sets,
  shobj_description(oid, 'pg_database') as comment
from pg_database d where not datistemplate and datname <> 'postgres' order by datname`,
  );
  return rows.map(({ comment, ...row }) => ({ ...row, stamped: isStamped(comment) }));
}

/**
 * Of databases with the name of an unfinished one, those of which no creation and no pool knows. Rows are there before
 * their databases: what had none when these were seen, and is there still afterwards, belongs to nothing that is in work.
 */
export async function findAbandoned(
  config: Config,
  server: string,
  names: readonly string[],
): Promise<string[]> {
  const inWork = 'builtIn' in config.tenants ? await withCentral(config, readUnfinished) : [];
  const left = names.filter((name) => !inWork.includes(name));
  const there = await withServer(config, server, (connection) => findDatabases(connection, left));
  return there.map(({ name }) => name).toSorted();
}

async function readUnfinished(central: Central): Promise<string[]> {
  const pool = await readPool(central);
  return [...(await readBuildingNames(central)).values(), ...pool.map(({ database }) => database)];
}

/** How many databases without a row are looked into, one connection each. */
const LOOKED_INTO = 200;

/**
 * Of the databases without a row, those that have a history of this product: another one on the same server may use
 * this tool too, and its central database has a history as well.
 * @param migrations the names of the core migrations, of which a history of this product has at least one; undefined when
 *   the files cannot be read
 */
export async function findOrphans(
  config: Config,
  server: string,
  databases: readonly DatabaseFact[],
  migrations: readonly string[] | undefined,
): Promise<string[]> {
  const { database: central } = await placeOf(config.central.url);
  const candidates = databases
    .filter(({ name, valid, open, owned }) => name !== central && valid && open && owned)
    .toSorted((a, b) => Number(b.stamped) - Number(a.stamped));
  const orphans: string[] = [];
  for (const { name } of candidates.slice(0, LOOKED_INTO)) {
    if (await hasHistory(config, server, name, migrations)) orphans.push(name);
  }
  return orphans.toSorted();
}

async function hasHistory(
  config: Config,
  server: string,
  database: string,
  migrations: readonly string[] | undefined,
): Promise<boolean> {
  const url = directUrlOf(config, server);
  const { connectTimeout } = config.pace;
  const target = { url, database, applicationName: 'mpm-migrate/doctor', connectTimeout };
  // What cannot be looked into is not called ours.
  return withConnection(target, (connection) => isOurs(connection, config.history, migrations)).catch(
    () => false,
  );
}

async function isOurs(
  connection: Connection,
  history: HistoryTable,
  migrations: readonly string[] | undefined,
): Promise<boolean> {
  const [found] = await connection.query<{ ours: boolean }>(
    `select ${mayBeRead(history)} and to_regclass(${literal(tableName(history))}) is not null and to_regclass('mpm_migrate.runs') is null as ours`,
  );
  if (!found?.ours || !migrations) return found?.ours ?? false;
  const rows = await connection.query<{ name: string }>(`select name from ${tableName(history)}`);
  const known = new Set(migrations);
  return rows.length === 0 || rows.some(({ name }) => known.has(name));
}

/** Does a tenant's row promise a database? One that is being made has none yet. */
export function promisesDatabase({ status, database }: Tenant): boolean {
  return database !== '' && status !== 'provisioning' && status !== 'failed';
}
