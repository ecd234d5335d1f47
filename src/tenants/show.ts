import { withCentral } from '../central/central.ts';
import { tenantProblem } from '../central/list/problem.ts';
import type { Tenant } from '../central/list/tenant.ts';
import { findTenant, streamTenants, type TenantFilter } from '../central/list/tenants.ts';
import type { Config } from '../config/define.ts';
import { asMpmError, type ErrorReport, errorReport, MpmError } from '../errors.ts';
import { inspect } from '../engine/history/lost.ts';
import { type MigrationCache, readMigrations } from '../engine/source/source.ts';
import { literal } from '../postgres/quote.ts';
import { idWord } from '../shell-word.ts';
import { tenantSet } from './folders/folder.ts';
import { directUrlOf, withServer } from './server.ts';

/** One tenant, as the central database, its server and its history have it: what `tenant show --json` prints. */
export interface TenantDetails {
  tenant: Tenant;
  /** Null when its server could not be asked. */
  database: { exists: boolean; bytes: number | null; owner: string | null } | null;
  /** Null when its history could not be read. */
  history: { head: string | null; applied: number; pending: string[]; ownFolder: boolean } | null;
  /** Why it cannot be worked on, or could not be looked at. */
  error?: ErrorReport;
}

/**
 * Looks at one tenant and changes nothing.
 * @throws MpmError UNKNOWN_TENANT, USAGE for an ambiguous name, errors of the central database
 */
export async function showTenant(config: Config, wanted: string): Promise<TenantDetails> {
  const { tenant, history } = await withCentral(config, async (central) => ({
    tenant: await findTenant(central, wanted),
    history: central.config.history,
  }));
  const details: TenantDetails = { tenant, database: null, history: null };
  try {
    const problem = tenantProblem(tenant, config);
    if (problem) throw problem;
    details.database = await readFacts(config, tenant);
    if (!details.database.exists) throw missing(tenant);
    details.history = await readHistory({ ...config, history }, tenant);
  } catch (error) {
    details.error = errorReport(forTenant(asMpmError(error), tenant));
  }
  return details;
}

async function readFacts(
  config: Config,
  { database, server }: Tenant,
): Promise<NonNullable<TenantDetails['database']>> {
  const [facts] = await withServer(config, server, (connection) =>
    connection.query<{ bytes: string | null; owner: string }>(
      `select case when has_database_privilege(oid, 'connect') then pg_database_size(oid) end::text as bytes,
  pg_get_userbyid(datdba)::text as owner from pg_database where datname = ${literal(database)}`,
    ),
  );
  if (!facts) return { exists: false, bytes: null, owner: null };
  return { exists: true, bytes: facts.bytes === null ? null : Number(facts.bytes), owner: facts.owner };
}

async function readHistory(config: Config, tenant: Tenant): Promise<NonNullable<TenantDetails['history']>> {
  const cache: MigrationCache = new Map();
  const core = await readMigrations(config.migrations.core, 'core', config.migrations, cache);
  const { migrations, ownFolder } = await tenantSet(tenant, core, config, cache);
  const target = {
    url: directUrlOf(config, tenant.server),
    database: tenant.database,
    tenant,
    applicationName: `mpm-migrate/show/${tenant.id}`,
    connectTimeout: config.pace.connectTimeout,
  };
  const { plan, count } = await inspect(
    target,
    { migrations },
    {
      history: config.history,
      order: config.migrations.order,
    },
  );
  return {
    head: plan.head,
    applied: count,
    pending: plan.pending.map(({ name }) => name),
    ownFolder,
  };
}

function missing({ id, name, database, server, status }: Tenant): MpmError {
  const half = status === 'provisioning' || status === 'failed';
  return new MpmError('DATABASE_MISSING', `the database "${database}" does not exist on server "${server}"`, {
    subject: name,
    hint: half
      ? `mpm-migrate tenant create --resume ${idWord(id)}`
      : "Restore it, or mend the tenant's row if it has another name or server.",
  });
}

/** Remedies name the tenant. */
function forTenant(error: MpmError, { id }: Tenant): MpmError {
  if (!error.hint?.includes('{tenant}')) return error;
  const { code, message, hint, subject, excerpt, database, aftermath, migration, problems } = error;
  const rest = { subject, excerpt, database, aftermath, migration, problems };
  const known = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return new MpmError(code, message, { ...known, hint: hint.replaceAll('{tenant}', idWord(id)) });
}

/** The tenants of a filter, in the order of their ids. */
export async function listTenants(config: Config, filter: TenantFilter): Promise<Tenant[]> {
  return withCentral(config, async (central) => {
    const tenants: Tenant[] = [];
    for await (const tenant of streamTenants(central, filter)) tenants.push(tenant);
    return tenants;
  });
}
