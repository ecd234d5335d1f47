import { setMaxListeners } from 'node:events';
import type { Central } from '../../central/central.ts';
import type { TenantFilter } from '../../central/list/filter.ts';
import { countTenants, pagesOfTenants, type Paging } from '../../central/list/tenants.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import type { PastTimes } from '../../central/past-times.ts';
import type { Config } from '../../config/define.ts';
import type { Duration } from '../../pace.ts';
import { backoff } from '../../engine/apply/migrate.ts';
import { type LaneHandler, runLanes } from './lanes.ts';
import { defaultConcurrency, failureBudget } from './limit.ts';
import { type Selection, filterFor } from '../select.ts';
import { ServerViews } from './server-view.ts';
import { streamSerialized } from './serialize.ts';

/** A selection, counted. */
export interface Survey {
  filter: TenantFilter;
  servers: { server: string; count: number }[];
  total: number;
}

export interface SweepOptions {
  /** Tenants in work at once, per server; by default a quarter of what each server has free, at most 32. */
  concurrency?: number | undefined;
  /** So many failures, or a share of all like `2%`, and no further tenant is started. */
  maxFailures?: number | string;
  /** The same as `maxFailures: 1`. */
  failFast?: boolean;
  /** Ms, or text like `30s`: no further tenant of a server starts while a streaming replica of it is further behind. */
  maxLag?: Duration;
  /** Aborted: start nothing more, let each tenant finish the migration that it is in. */
  signal?: AbortSignal | undefined;
  /** Aborted: cancel the statements that run, which rolls them back (fleet 6). */
  cancel?: AbortSignal | undefined;
}

/** So many tenants are read ahead, over all servers. */
const PAGES = 1000;

/**
 * Finds out how many tenants a selection has on each server.
 * @param verb whose last run a bare `--failed` means
 */
export async function survey(central: Central, selection: Selection, verb?: string): Promise<Survey> {
  const filter = await filterFor(central, selection, verb);
  const servers = await countTenants(central, filter);
  return { filter, servers, total: servers.reduce((sum, { count }) => sum + count, 0) };
}

/**
 * Takes every tenant of a survey through its server's lanes, once. Who is moved to another server meanwhile may slip
 * between the pages: so the list is read once more at the end (fleet 53). Rejects when it cannot be read to its end.
 */
export async function sweep<D>(
  central: Central,
  { filter, servers, total }: Survey,
  options: SweepOptions & {
    views?: ServerViews | undefined;
    /** Those that took long are begun first (confidence 5). */
    past?: PastTimes | undefined;
    /** Whether a server's tenants have to wait. */
    holds?: ((server: string) => boolean) | undefined;
    /** Settles those that need no attempt; the others go through the lanes. */
    sift?: ((page: readonly Tenant[]) => Promise<readonly Tenant[]>) | undefined;
  },
  work: LaneHandler<D>,
): Promise<void> {
  const { config } = central;
  const { views = new ServerViews(central) } = options;
  // Every lane listens: what Node takes for a leak is their number.
  for (const signal of [options.signal, options.cancel]) if (signal) setMaxListeners(0, signal);
  const met = new Set<string>();
  const once = (next: () => Promise<Tenant[] | undefined>) => async () =>
    (await next())?.filter(({ id }) => !met.has(id) && met.add(id));
  // Pages of all servers are in memory at once.
  const pageSize = Math.max(20, Math.floor(PAGES / Math.max(1, servers.length)));
  const lanes = servers.map(async ({ server, count }) => ({
    name: server,
    tenants: streamSerialized(
      central,
      once(longestFirst(central, filter, { server, pageSize }, options.past)),
      options.sift,
    ),
    concurrency: Math.min(count, await concurrencyOf(config, { server, count }, options.concurrency, views)),
  }));
  const { holds, signal } = options;
  const how = { work, retries: config.pace.retries, backoff, holds, signal };
  const maxFailures = options.failFast ? 1 : failureBudget(options.maxFailures, total);
  const stopped = await runLanes({ ...how, servers: await Promise.all(lanes), maxFailures });
  if (total === 0 || Object.keys(config.servers).length < 2) return;
  const slipped = new Map<string, Tenant[]>();
  for await (const tenant of streamSerialized(central, once(pagesOfTenants(central, filter)), options.sift))
    slipped.set(tenant.server, [...(slipped.get(tenant.server) ?? []), tenant]);
  await runLanes({
    ...how,
    servers: [...slipped].map(([name, tenants]) => ({ name, tenants: from(tenants), concurrency: 1 })),
    maxFailures,
    stopped,
  });
}

/** Pages of tenants, of which the first one holds those that took long. */
function longestFirst(
  central: Central,
  filter: TenantFilter,
  paging: Paging,
  past: PastTimes | undefined,
): () => Promise<Tenant[] | undefined> {
  const next = pagesOfTenants(central, filter, paging);
  let first = past && [...past.longest.keys()];
  return async () => {
    if (!past || !first) return next();
    const page = await pagesOfTenants(central, filter, { ...paging, ids: first, pageSize: first.length })();
    first = undefined;
    return page?.sort((a, b) => timeOf(past, b) - timeOf(past, a));
  };
}

/** Ms that a tenant will take, as far as is known. */
export function timeOf({ longest, typical }: PastTimes, { id }: Pick<Tenant, 'id'>): number {
  return longest.get(id) ?? typical;
}

/** Ms of each server's tenants, one after the other. */
export async function expectedTimes(
  central: Central,
  { filter, servers }: Survey,
  past: PastTimes,
): Promise<Record<string, number>> {
  const ids = [...past.longest.keys()];
  const sums = new Map(servers.map(({ server, count }) => [server, count * past.typical]));
  const long = (await pagesOfTenants(central, filter, { ids, pageSize: ids.length })()) ?? [];
  for (const tenant of long) {
    sums.set(tenant.server, (sums.get(tenant.server) ?? 0) + timeOf(past, tenant) - past.typical);
  }
  return Object.fromEntries(sums);
}

async function* from(tenants: readonly Tenant[]): AsyncGenerator<Tenant> {
  yield* tenants;
}

/** How many lanes a server gets: as given, or by the connections that it has free. */
export async function concurrencyOf(
  config: Config,
  { server: name, count }: Survey['servers'][number],
  concurrency: number | undefined,
  views: ServerViews,
): Promise<number> {
  const server = config.servers[name];
  // Of an unknown server every tenant fails without a connection.
  if (!server || count <= 1) return 1;
  const most = server.maxConnections ?? Infinity;
  const given = concurrency ?? config.pace.concurrency;
  if (given !== undefined) return Math.min(given, most);
  const headroom = await views.headroom(name);
  // One that cannot be asked is found out by its tenants; a few of them are enough for that.
  return Math.min(most, headroom ? defaultConcurrency(headroom) : 4);
}
