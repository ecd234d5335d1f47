import { MpmError } from '../../errors.ts';
import { literal } from '../../postgres/quote.ts';
import { databaseFields, isServerError, SQLSTATE } from '../../postgres/sqlstate.ts';
import { idWord } from '../../shell-word.ts';
import { type Listing, listingError, listingOf } from './listing.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { takeFromPool } from '../pool.ts';
import type { Tenant } from './tenant.ts';

/** A tenant to be entered. */
export interface NewTenant {
  name: string;
  server: string;
  labels: Readonly<Record<string, string>>;
  id?: string | undefined;
  /** The name under which its database is made: unguessable, so what is called so is ours. */
  buildingAs: string;
  /** A finished database of this blueprint is taken from the pool where there is one. */
  pool?: string | undefined;
  /** The oid of its database, which is there: so it is active from the start. */
  adopted?: string;
  /** May another tenant have the same name? Only for who said which database is meant. */
  sameName: boolean;
  /** Of these it gets the first that no other tenant has. */
  databases: Iterable<Candidate>;
}

/** A tenant that was entered. */
export interface Registered {
  id: string;
  database: string;
  /** Those whose databases have the same name on other servers, which may be this one under another name. */
  namesakes: Namesake[];
}

export interface Candidate {
  name: string;
  /** The pool's databases may become this one. */
  fits: boolean;
}

/** So many names are offered at once; mostly the first is free. */
const OFFERED = 5;

/**
 * Enters a tenant in state `provisioning`, before anything of it exists.
 * @throws MpmError TENANT_EXISTS, DATABASE_EXISTS, USAGE, CENTRAL_INVALID, BUSY
 */
export async function registerTenant(
  listing: Listing,
  newTenant: NewTenant,
  onWaiting?: (reason: string) => void,
): Promise<Registered> {
  const { connection } = listing;
  const { name, server, id, sameName } = newTenant;
  const databases = newTenant.databases[Symbol.iterator]();
  let refused = '';
  try {
    for (let offered = next(databases); offered.length; offered = next(databases)) {
      const insert = insertTenant(newTenant, offered);
      const count = id === undefined ? [] : [countOn()];
      // The lock is had for one message, not while an answer is on its way.
      const [inserted] = await oneAtATime(listing, [insert, ...count, 'commit'], onWaiting);
      const [row] = inserted?.rows ?? [];
      if (row) return row as unknown as Registered;
      if (!sameName) refuseSameName(name, await connection.application.query<SameName>(selectSameName(name)));
      refused = offered.at(-1)?.name ?? '';
    }
    throw databaseTaken(`another tenant has the database "${refused}" of server "${server}"`, {
      subject: refused,
    });
  } catch (error) {
    if (!connection.lost) await connection.query('rollback');
    throw registerError(error, newTenant);
  }
}

function next(databases: Iterator<Candidate>): Candidate[] {
  const offered: Candidate[] = [];
  while (offered.length < OFFERED) {
    const { done, value } = databases.next();
    if (done) break;
    offered.push(value);
  }
  return offered;
}

/** Returns no row when its name is taken, or each of the databases' names. */
function insertTenant(
  { id, name, labels, server, buildingAs, pool, adopted, sameName }: NewTenant,
  offered: readonly Candidate[],
): string {
  const own = id === undefined ? { column: '', value: '' } : { column: 'id, ', value: `${literal(id)}, ` };
  const candidates = offered.map((each, nr) => `(${nr}, ${literal(each.name)}, ${each.fits})`);
  const alone = sameName
    ? ''
    : ` and not exists (select from public.companies c where c.name = ${literal(name)})`;
  const spare =
    pool === undefined
      ? 'select null, null::bigint'
      : takeFromPool({ server, blueprint: pool }, '(select fits from chosen)');
  const standing = adopted
    ? `'active', null, ${literal(JSON.stringify(labels))}::jsonb, null, null, ${literal(adopted)}::bigint`
    : `'provisioning', 'creating its database', ${literal(JSON.stringify(labels))}::jsonb, 'database',
    coalesce((select name from spare), ${literal(buildingAs)}), (select oid from spare)`;
  return `with offered (nr, name, fits) as (values ${candidates.join(', ')}), chosen as (
  select o.name, o.fits from offered o where not exists (select from public.company_databases d
    where d.server = ${literal(server)} and d.database_name = o.name)${alone} order by o.nr limit 1
), spare (name, oid) as (${spare}), company as (
  insert into public.companies (${own.column}name, created_at, updated_at)
  select ${own.value}${literal(name)}, now(), now() from chosen returning id
), database as (
  insert into public.company_databases (company_id, database_name, server, status, reason, labels, provision_step, building_as, database_oid, created_at, updated_at)
  select company.id, chosen.name, ${literal(server)}, ${standing}, now(), now() from company, chosen
  returning company_id, database_name
)
select d.company_id::text as id, d.database_name::text as database,
  (select coalesce(json_agg(json_build_object('id', c.id::text, 'name', c.name, 'server', o.server) order by c.id), '[]')
    from public.company_databases o join public.companies c on c.id = o.company_id
    where o.database_name = d.database_name and o.server <> ${literal(server)}) as namesakes
from database d`;
}

/** An id that was given must not come up again by counting. */
function countOn(): string {
  return `select setval(s.name, greatest(coalesce(pg_sequence_last_value(s.name), 0), (select max(c.id)::text::numeric::bigint from public.companies c where c.id::text ~ '^[0-9]+$')))
from (select pg_get_serial_sequence('public.companies', 'id')::regclass as name) s where s.name is not null`;
}

interface SameName {
  id: string;
  status: string | null;
}

function selectSameName(name: string): string {
  return `select c.id::text as id, d.status
from public.companies c left join public.company_databases d on d.company_id = c.id where c.name = ${literal(name)} order by c.id limit 1`;
}

function refuseSameName(name: string, [same]: SameName[]): void {
  if (!same) return;
  const half = same.status === 'provisioning' || same.status === 'failed';
  throw new MpmError(
    'TENANT_EXISTS',
    `tenant ${same.id} is already called "${name}"${half ? ', and its creation is not finished' : ''}`,
    {
      subject: name,
      hint: half
        ? `mpm-migrate tenant create --resume ${idWord(same.id)}`
        : 'To create another tenant of the same name, choose its database: --database NAME',
    },
  );
}

function databaseTaken(message: string, options: { subject: string; cause?: unknown }): MpmError {
  return new MpmError('DATABASE_EXISTS', message, {
    ...options,
    hint: 'Choose another name with --database.',
  });
}

/** What the server says about a row, in words of tenants. */
export function registerError(error: unknown, { name, id }: Pick<NewTenant, 'name' | 'id'>): unknown {
  if (!isServerError(error)) return error;
  const options = { subject: name, cause: error, database: databaseFields(error) };
  // By somebody who enters tenants without us, and was faster.
  if (error.code === SQLSTATE.uniqueViolation && error.constraint === 'company_databases_server_database') {
    return databaseTaken(`another tenant has this database: ${error.detail ?? error.message}`, options);
  }
  if (error.code === SQLSTATE.uniqueViolation) {
    const what = id === undefined ? name : `tenant ${id}`;
    return new MpmError('TENANT_EXISTS', `${what} exists already: ${error.detail ?? error.message}`, {
      ...options,
      hint: id === undefined ? 'mpm-migrate tenant list' : `mpm-migrate tenant show ${idWord(id)}`,
    });
  }
  if (error.code.startsWith('22')) {
    return new MpmError('USAGE', `the central database doesn't accept this: ${error.message}`, {
      ...options,
      hint:
        id === undefined
          ? 'Use a shorter name.'
          : 'Use an ID of the type of companies.id, and a name that fits.',
    });
  }
  if (/^(23|42)/.test(error.code)) {
    return new MpmError('CENTRAL_INVALID', `can't insert the tenant: ${error.message}`, {
      ...options,
      hint: 'Give each required column of yours a default, or insert the company yourself.',
    });
  }
  return error;
}

/** A tenant whose database has the same name, on a server of another name. */
export type Namesake = Pick<Tenant, 'id' | 'name' | 'server'>;

/** The tenants that have a database of this name on other servers. @throws MpmError CENTRAL_INVALID */
export async function findNamesakes(
  listing: Listing,
  { id = '', server, database }: Pick<Tenant, 'server' | 'database'> & { id?: string },
): Promise<Namesake[]> {
  try {
    return await listing.connection.application.prepared<Namesake>(
      `select t.id::text as id, coalesce(t.name, '') as name, t.server from ${listingOf(listing.config.tenants)} t
where t.database = $1 and t.server <> $2 and t.id::text <> $3 order by t.id`,
      [database, server, id],
    );
  } catch (error) {
    throw await listingError(error, listing);
  }
}

/** Those of these databases that tenants have already, on any server. @throws MpmError CENTRAL_INVALID */
export async function findRegistered(
  listing: Listing,
  databases: readonly string[],
): Promise<(Namesake & Pick<Tenant, 'database'>)[]> {
  try {
    return await listing.connection.application.prepared<Namesake & Pick<Tenant, 'database'>>(
      `select t.id::text as id, coalesce(t.name, '') as name, t.server, t.database from ${listingOf(listing.config.tenants)} t
where t.database = any($1) order by t.id`,
      [databases],
    );
  } catch (error) {
    throw await listingError(error, listing);
  }
}
