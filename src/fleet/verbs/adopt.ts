import { type Central, withCentral } from '../../central/central.ts';
import { findRegistered, registerTenant } from '../../central/list/registry.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { fromFlags } from '../../dialects/read-tool.ts';
import { TOOL_NAMES, type ToolName } from '../../dialects/tool-names.ts';
import { backoff } from '../../engine/apply/migrate.ts';
import type { Migration } from '../../engine/migration.ts';
import { asMpmError, errorReport, MpmError } from '../../errors.ts';
import { isUnfinishedName, newBuildingName } from '../../tenants/create/build.ts';
import { requireBuiltIn } from '../../tenants/create/provision.ts';
import { isMissing, readContents } from '../../tenants/adoptable.ts';
import { findSharing } from '../../tenants/same-database.ts';
import { serverOf } from '../../tenants/server.ts';
import { databaseNameProblem } from '../../postgres/database.ts';
import { placeOf } from '../../postgres/connect.ts';
import { TOOL_VERSION } from '../../version.ts';
import { attemptOf, failedBy, refOf, resultOf } from '../attempt.ts';
import type { OnEvent, Unstamped } from '../events.ts';
import { readFleetFiles } from '../files.ts';
import type { AdoptedDatabase, AdoptReport } from '../report/adopt-report.ts';
import { runLanes } from '../schedule/lanes.ts';
import { concurrencyOf, type SweepOptions } from '../schedule/sweep.ts';
import { ServerViews } from '../schedule/server-view.ts';
import { type DatabaseNames, namesOf } from './adopt-names.ts';

/** Which databases of a server are to become tenants, and with what in their rows. */
export interface AdoptTenantsInput extends DatabaseNames {
  /** Default `default`. */
  server?: string;
  labels?: Readonly<Record<string, string>>;
  /** Beside those that hold migrations of this product: those that hold this. */
  also?: readonly (ToolName | 'history' | 'tables' | 'empty')[];
}

export interface AdoptTenantsOptions extends Pick<SweepOptions, 'concurrency' | 'signal'> {
  /** Do it; without, it is only shown what would be done. */
  write?: boolean;
  onEvent?: OnEvent;
}

/**
 * Registers many databases that exist, each called as its database; twice is a no-op, and one that was cut off goes on.
 * Changes nothing in them. Looks into all of them first, several at once; then registers one after the other, those with
 * migrations of this product and those that `also` names.
 * @throws MpmError USAGE without names, or when no database matches; UNKNOWN_SERVER; as `up` for files
 */
export async function adoptTenants(
  config: Config,
  input: AdoptTenantsInput,
  { write = false, ...options }: AdoptTenantsOptions = {},
): Promise<AdoptReport> {
  requireBuiltIn(config);
  const { server = 'default', labels = {}, also = [] } = input;
  serverOf(config, server);
  requireKnown(also);
  const started = Date.now();
  const { core } = await readFleetFiles(config);
  return withCentral(config, async (central) => {
    const names = await namesOf(central.config, server, input);
    const wanted = names.filter((name) => !isUnfinishedName(name));
    const looks = await lookInto(central, { server, names: wanted, migrations: core.migrations }, options);
    const databases: AdoptedDatabase[] = [];
    let error: MpmError | undefined;
    for (const { oid, ...look } of looks) {
      const chosen = oid !== undefined && isChosen(look, also);
      const stopped = options.signal?.aborted || error !== undefined;
      let entry: AdoptedDatabase = { ...look, outcome: outcomeOf(look, chosen) };
      if (chosen && write && stopped) entry = { ...entry, outcome: 'left out' };
      else if (chosen && write) {
        try {
          const { database } = look;
          entry = {
            ...entry,
            outcome: 'adopted',
            id: await register(central, { database, server, labels, oid }),
          };
        } catch (thrown) {
          const known = asMpmError(thrown);
          entry = { ...entry, outcome: 'left out', error: errorReport(known) };
          // Somebody else was faster; what is wrong with the central database is wrong for all.
          if (known.code !== 'DATABASE_EXISTS') error = known;
        }
      }
      databases.push(entry);
    }
    const count = (which: (each: AdoptedDatabase) => boolean): number => databases.filter(which).length;
    return {
      verb: 'adopt',
      server,
      write,
      toolVersion: TOOL_VERSION,
      startedAt: new Date(started).toISOString(),
      durationMs: Date.now() - started,
      interrupted: options.signal?.aborted ?? false,
      counts: {
        total: databases.length,
        adopted: count(({ outcome }) => outcome === (write ? 'adopted' : 'adoptable')),
        unchanged: count(({ outcome }) => outcome === 'unchanged'),
        leftOut: count(({ outcome, error: own }) => outcome === 'left out' && !own),
        failed: count(({ error: own }) => own !== undefined),
      },
      databases,
      next: nextCommands(databases),
      ...(error ? { error: errorReport(error) } : {}),
    };
  });
}

function nextCommands(databases: readonly AdoptedDatabase[]): string[] {
  const tools = new Set(
    databases.flatMap(({ outcome, tool }) => (outcome === 'adopted' && tool ? [tool] : [])),
  );
  return [...tools].map((tool) => ['mpm-migrate baseline --all', fromFlags(tool)].join(' '));
}

/** @throws MpmError USAGE for what no database holds */
function requireKnown(also: readonly string[]): void {
  const known: readonly string[] = ['history', 'tables', 'empty', ...TOOL_NAMES];
  const unknown = also.find((each) => !known.includes(each));
  if (unknown === undefined) return;
  throw new MpmError('USAGE', `--also ${unknown}: unknown`, { hint: `Known: ${known.join(', ')}.` });
}

/** A database as it was looked at; with an oid where it was looked into. */
type Look = Omit<AdoptedDatabase, 'outcome'> & { oid?: string };

function isChosen({ holds, tool, ours }: Look, also: NonNullable<AdoptTenantsInput['also']>): boolean {
  if (ours) return true;
  if (tool !== undefined) return also.includes(tool);
  return also.some((each) => each === holds);
}

function outcomeOf({ holds }: Look, chosen: boolean): AdoptedDatabase['outcome'] {
  if (holds === 'registered') return 'unchanged';
  return chosen ? 'adoptable' : 'left out';
}

async function register(
  central: Central,
  { database, oid, ...row }: Pick<Tenant, 'database' | 'server' | 'labels'> & { oid: string },
): Promise<string> {
  const { id } = await registerTenant(central, {
    ...row,
    name: database,
    sameName: true,
    adopted: oid,
    buildingAs: newBuildingName(),
    databases: [{ name: database, fits: false }],
  });
  return id;
}

/** Looks at each database, through lanes as the walk's; in the order of their names. */
async function lookInto(
  central: Central,
  {
    server,
    names,
    migrations,
  }: { server: string; names: readonly string[]; migrations: readonly Migration[] },
  { concurrency, signal, onEvent }: Omit<AdoptTenantsOptions, 'write'>,
): Promise<Look[]> {
  const { config } = central;
  const started = Date.now();
  const own = (await placeOf(config.central.url)).database;
  const looks = new Map<string, Look>();
  const good = names.filter((database) => {
    const problem = databaseNameProblem(database);
    if (problem === undefined) return true;
    const error = new MpmError('DATABASE_NAME', `it can't be the name of a tenant's database: ${problem}`);
    looks.set(database, { database, holds: 'unreadable', error: errorReport(error) });
    return false;
  });
  const taken = await findRegistered(central, good);
  const tell = (event: Unstamped): unknown => onEvent?.({ ...event, at: Date.now() - started });
  const views = new ServerViews(central);
  views.expect(server, good.length);
  const width = await concurrencyOf(config, { server, count: good.length }, concurrency, views);
  tell({ type: 'run-started', run: null, verb: 'adopt', total: good.length, selection: `server ${server}` });

  const look = async (database: string): Promise<Look> => {
    const rows = taken.filter((each) => each.database === database);
    const row =
      rows.find((each) => each.server === server) ?? (await findSharing(config, { server, database }, rows));
    if (row) return { database, holds: 'registered', id: row.id };
    if (database === own && server === 'default') return { database, holds: 'central' };
    return { database, ...(await readContents(config, { server, database }, migrations)) };
  };
  await runLanes<Look>({
    servers: [{ name: server, tenants: rowsOf(server, good), concurrency: width }],
    retries: config.pace.retries,
    backoff,
    maxFailures: Infinity,
    signal,
    work: {
      attempt: async (tenant) => {
        tell({ type: 'tenant-started', tenant: refOf(tenant) });
        const { database } = tenant;
        try {
          return { ...attemptOf({ outcome: 'current' }), detail: await look(database) };
        } catch (error) {
          if (isMissing(error))
            return { ...attemptOf({ outcome: 'current' }), detail: { database, holds: 'missing' } };
          return failedBy(error);
        }
      },
      onRetry: (tenant, { error }, retryInMs) =>
        void tell({ type: 'tenant-waiting', tenant: refOf(tenant), reason: error?.message ?? '', retryInMs }),
      onEnd: async (tenant, attempt, attempts) => {
        const { database } = tenant;
        const { detail, error } = attempt;
        looks.set(
          database,
          detail ?? { database, holds: 'unreadable', ...(error && { error: errorReport(error) }) },
        );
        await tell({ type: 'tenant-finished', result: resultOf(tenant, attempt, attempts) });
      },
      onNotTried: () => undefined,
    },
  });
  return names.flatMap((name) => looks.get(name) ?? []);
}

/** The lanes take rows of the list of tenants: what these would be. */
async function* rowsOf(server: string, names: readonly string[]): AsyncGenerator<Tenant> {
  for (const database of names)
    yield { id: database, name: database, database, server, status: 'active', labels: {} };
}
