import { setTimeout } from 'node:timers/promises';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { isSuperuser, mayBeRead } from '../engine/history/trust.ts';
import { connect, lossOf, placeOf } from '../postgres/connect.ts';
import type { Connection } from '../postgres/connection.ts';
import { NAME_BYTES } from '../postgres/database.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { forgetRoles } from '../postgres/roles.ts';
import { databaseFields, isServerError, SQLSTATE } from '../postgres/sqlstate.ts';
import type { Listing } from './list/listing.ts';
import { LEDGER, LEDGER_HISTORY } from './schema/ledger.ts';
import { REGISTRY, REGISTRY_HISTORY } from './schema/registry.ts';

/** An open connection to a central database that is at the version this build needs. */
export interface Central extends Listing {
  /** Who opened it is done with it: it is not opened again. */
  closed?: boolean;
}

/**
 * Opens the central database and makes sure that its ledger, and its own list of companies, are not behind.
 * @throws MpmError CONNECTION, PASSWORD, DATABASE_MISSING; CENTRAL_BEHIND; CENTRAL_INVALID
 */
export async function withCentral<T>(config: Config, use: (central: Central) => Promise<T>): Promise<T> {
  const central = await openCentral(config);
  try {
    return await use(central);
  } finally {
    central.closed = true;
    await central.connection.close();
  }
}

/** The same for who keeps it open, and closes it. Throws as {@link withCentral}. */
export async function openCentral(config: Config, what?: string): Promise<Central> {
  forgetRoles();
  return centralOn(await connectCentral(config, what), config);
}

/** On a connection that is open; it is closed when it does not do. @throws MpmError CENTRAL_BEHIND, CENTRAL_INVALID */
export async function centralOn(connection: Connection, config: Config): Promise<Central> {
  try {
    const { owner: ledgerOwner, identity, released } = await requireVersion(connection, config);
    const central: Central = {
      connection,
      config: {
        ...config,
        central: { ...config.central, ...(identity === undefined ? {} : { identity }) },
        history: { ...config.history, ledgerOwner },
        released: sameSet(released),
      },
    };
    return central;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** ms before each further attempt to reach it. */
const AGAIN = 250;

/**
 * Opens another connection in the place of one that is lost, as while a standby takes over; tried for as long as
 * `pace.connectTimeout`. Throws as {@link withCentral}.
 */
export async function reopen(central: Central): Promise<void> {
  const until = Date.now() + central.config.pace.connectTimeout;
  while (!central.closed) {
    try {
      const { connection } = await openCentral(central.config);
      // What was left waiting in the queue of a run that has ended keeps no process alive (fleet 52).
      if (central.closed) await connection.close();
      else central.connection = connection;
      return;
    } catch (error) {
      const passing = error instanceof MpmError && error.code === 'CONNECTION';
      if (!passing || Date.now() + AGAIN > until) throw error;
      await setTimeout(AGAIN);
    }
  }
}

/** The connection alone, whatever is in the database. */
export async function connectCentral(config: Config, what = 'central'): Promise<Connection> {
  await checkUrl(config);
  const target = {
    url: config.central.url,
    applicationName: `mpm-migrate/${what}`,
    connectTimeout: config.pace.connectTimeout,
  };
  const connection = await connect(target).catch((error: unknown) => {
    if (!(error instanceof MpmError)) throw error;
    const hint =
      error.code === 'DATABASE_MISSING'
        ? { hint: 'mpm-migrate central up\ncreates it, and its tables.' }
        : {};
    throw new MpmError(error.code, `central database: ${error.message}`, {
      cause: error.cause,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.subject === undefined ? {} : { subject: error.subject }),
      ...(error.database ? { database: error.database } : {}),
      ...hint,
    });
  });
  connection.describeLoss = lossOf('the central database');
  return connection;
}

/** A longer name would be cut off by the server, and another database be opened. */
async function checkUrl(config: Config): Promise<void> {
  const { database } = await placeOf(config.central.url);
  const bytes = Buffer.byteLength(database);
  const wrong =
    database === 'template0' || database === 'template1'
      ? `${database} is what new databases are copied from`
      : bytes > NAME_BYTES
        ? `its database's name has ${bytes} bytes, and PostgreSQL takes ${NAME_BYTES}`
        : undefined;
  if (!wrong) return;
  throw new MpmError('CONFIG_INVALID', `central.url: ${wrong}`, {
    subject: 'central.url',
    hint: 'Use the database that lists your tenants, for example micro_power_manager.',
  });
}

/** The built-in sets of migrations that a configuration asks for, and where each one's history is. */
export function builtInSets(config: Config) {
  const ledger = { set: 'ledger', list: LEDGER, history: LEDGER_HISTORY } as const;
  const registry = { set: 'registry', list: REGISTRY, history: REGISTRY_HISTORY } as const;
  return 'builtIn' in config.tenants ? [ledger, registry] : [ledger];
}

/** One set for equal names: what is known of lists of migrations is known by it. */
const sets = new Map<string, ReadonlySet<string>>();

function sameSet(names: readonly string[]): ReadonlySet<string> {
  const key = JSON.stringify([...names].sort());
  const set = sets.get(key) ?? new Set(names);
  if (sets.size > 100) sets.clear();
  sets.set(key, set);
  return set;
}

/** What opening the ledger tells: who owns it, whose histories are ours as well (engine 34), and what is released. */
interface LedgerHead {
  owner?: string;
  /** What tells the fleet from others. */
  identity?: string;
  released: string[];
}

async function requireVersion(connection: Connection, config: Config): Promise<LedgerHead> {
  const sets = builtInSets(config);
  const { applied, ...known } = await readApplied(connection, sets);
  for (const { set, list } of sets) {
    const lacks = list.filter(({ name }) => !applied.has(`${set} ${name}`));
    if (lacks.length === 0) continue;
    // `central up` would be the wrong remedy there; who may not look is told that one.
    await refuseTenant(connection, config).catch((error: unknown) => {
      if (!isServerError(error)) throw error;
    });
    throw behind(connection.database, lacks.length);
  }
  return known;
}

/** In front of the time at which the ledger was made, to the microsecond. */
const MADE_AT = 'made at ';

const IS_RELEASED = 'is released ';
const RELEASED = `select '${IS_RELEASED}' || name from mpm_migrate.released`;

/** What is applied of the built-in sets, `ledger 0001_runs`, and whose they are; in one message. */
async function readApplied(
  connection: Connection,
  sets: ReturnType<typeof builtInSets>,
  asks: readonly string[] = [RELEASED],
): Promise<LedgerHead & { applied: Set<string> }> {
  const each = sets.map(
    ({ set, history }) =>
      `select '${set} ' || name as name from ${history.schema}.${history.table} where state in ('applied', 'baseline')`,
  );
  try {
    const { schema, table } = LEDGER_HISTORY;
    each.push(
      ...asks,
      `select '${MADE_AT}' || extract(epoch from min(started_at))::text from ${schema}.${table}`,
    );
    const { results } = await connection.send(`${SELECT_LEDGER_OWNER};\n${each.join(' union all ')}`);
    const [[ledger], rows = []] = results.map((result) => result.rows) as unknown as [
      LedgerOwner[],
      { name: string }[],
    ];
    if (ledger?.flaw) throw untrusted(connection.database, ledger.flaw);
    const applied = new Set(rows.map(({ name }) => name));
    const identity = rows.find(({ name }) => name?.startsWith(MADE_AT))?.name;
    const released = [...applied].flatMap((name) =>
      name?.startsWith(IS_RELEASED) ? [name.slice(IS_RELEASED.length)] : [],
    );
    return { applied, released, ...(ledger && { owner: ledger.owner }), ...(identity && { identity }) };
  } catch (error) {
    if (!isServerError(error)) throw error;
    // An older ledger has no such table, and a role that only looks may have no right to it.
    if (asks.length) return readApplied(connection, sets, []);
    if (error.code === SQLSTATE.undefinedTable) return { applied: new Set(), released: [] };
    throw new MpmError(
      'CENTRAL_INVALID',
      `the ledger in "${connection.database}" cannot be read: ${error.message}`,
      {
        subject: connection.database,
        cause: error,
        database: databaseFields(error),
        hint: 'The user needs usage on schema mpm_migrate and select on its tables.',
      },
    );
  }
}

function untrusted(database: string, flaw: string): MpmError {
  return new MpmError('CENTRAL_INVALID', `the ledger in "${database}" isn't trusted: ${flaw}`, {
    subject: database,
    hint: "Reading or writing it would run foreign code. Remove what doesn't belong in schema mpm_migrate, or ask who put it there.",
  });
}

/** @throws MpmError CENTRAL_INVALID for a tenant's database */
export async function refuseTenant(connection: Connection, { history }: Config): Promise<void> {
  const table = `${identifier(history.schema)}.${identifier(history.table)}`;
  // Somebody else's table is not read: `central up` says so, when it comes to it.
  const [found] = await connection.query<{ there: boolean }>(
    `select ${mayBeRead(history)} and to_regclass(${literal(table)}) is not null and to_regclass('mpm_migrate.runs') is null as there`,
  );
  if (!found?.there) return;
  const foreign = await connection.query(
    `select from ${table} where source in ('core', 'tenant', 'plugin', 'template') limit 1`,
  );
  if (!foreign.length) return;
  throw new MpmError(
    'CENTRAL_INVALID',
    `"${connection.database}" is a tenant's database: it has a tenant's history`,
    {
      subject: connection.database,
      hint: 'Set central.url (or MPM_CENTRAL_URL) to the database that lists the tenants. Nothing was changed.',
    },
  );
}

function behind(database: string, lacks: number): MpmError {
  const what = lacks === 1 ? 'a migration' : `${lacks} migrations`;
  return new MpmError(
    'CENTRAL_BEHIND',
    `the central database "${database}" lacks ${what} that this version of mpm-migrate needs`,
    { subject: database, hint: 'mpm-migrate central up' },
  );
}

/** What was found of the ledger's owner, and of what is not as `central up` made it. */
export interface LedgerOwner {
  owner: string;
  /** In words; null when all is well. */
  flaw: string | null;
}

/** What the ledger's tables have of their own. */
const OWN_TRIGGER = 'forget_run_tenants';

/**
 * Whose the ledger is, and whether its tables run anybody else's code when they are read or written (engine 33, 34).
 * The tables of the list of companies are the application's, whose triggers must run.
 */
export const SELECT_LEDGER_OWNER = `select pg_catalog.pg_get_userbyid(n.nspowner)::text as owner, (
  select case when c.relkind <> 'r' then pg_catalog.format('%s is not an ordinary table', c.relname)
    when c.relrowsecurity then pg_catalog.format('%s has row security', c.relname)
    when c.relhasrules and exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid) then pg_catalog.format('%s has a rule', c.relname)
    else pg_catalog.format('%s belongs to "%s", or has triggers that are not its own', c.relname, pg_catalog.pg_get_userbyid(c.relowner)) end
  from pg_catalog.pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'v', 'm', 'f', 'p')
    and c.relname in ('runs', 'run_tenants', 'run_parts', 'tool_histories', 'pool', '${LEDGER_HISTORY.table}', 'registry_history') and (
      c.relkind <> 'r' or c.relrowsecurity
      or c.relhasrules and exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid)
      or c.relowner <> n.nspowner and not ${isSuperuser('c.relowner')} and pg_catalog.pg_get_userbyid(c.relowner) <> session_user
      or c.relhastriggers and exists (select from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
        where t.tgrelid = c.oid and not t.tgisinternal and (t.tgname <> '${OWN_TRIGGER}' or p.proowner <> c.relowner)))
  order by c.relname limit 1) as flaw
from pg_catalog.pg_namespace n where n.nspname = '${LEDGER_HISTORY.schema}'`;
