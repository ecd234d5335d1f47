import { join } from 'node:path';
import { text } from '../../argument.ts';
import { type Central, withCentral } from '../../central/central.ts';
import {
  markFailed,
  type Provisioning,
  readProvisioning,
  unregisterTenant,
} from '../../central/list/provisioning.ts';
import { type Candidate, registerTenant } from '../../central/list/registry.ts';
import type { Config } from '../../config/define.ts';
import { asMpmError, MpmError, stopIfAborted } from '../../errors.ts';
import { describeUrl, placeOf } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { checkDatabaseName, databaseExists } from '../../postgres/database.ts';
import { literal } from '../../postgres/quote.ts';
import { idWord } from '../../shell-word.ts';
import { claimFolder, folderInTheWay } from '../folders/own-folder.ts';
import type { Original } from '../in-use.ts';
import { withTenantLock } from '../lock.ts';
import { checkCompanyName, databaseNames, slugOf } from '../name.ts';
import { refuseNamesakes } from '../same-database.ts';
import { serverOf } from '../server.ts';
import { type TenantSources, FilesChanged, forFleet, readTenantSources } from './tenant-sources.ts';
import { isCopy, newBuildingName, newCopyName } from './build.ts';
import {
  carryOut,
  type Creation,
  type ProvisionReport,
  type ProvisionOptions,
  onCentral,
} from './creation.ts';
import { type CreationConnections, type ConnectionCache, withCreationConnections } from './connections.ts';
import { findTemplate, type Template } from './template.ts';
import { ended, keepFailed, undo } from './undo.ts';

export interface ProvisionInput {
  name: string;
  /** Used exactly as it is, or refused; by default made from the name. */
  database?: string;
  /** Default `default`. */
  server?: string;
  labels?: Readonly<Record<string, string>>;
  /** Default: counted by the central database. */
  id?: string;
  /** Its migrations are those in the folder that lies there for its database. */
  claim?: boolean;
}

/**
 * Creates a tenant: its row, its database, its migrations (fleet 13). When it fails, what this call made is
 * undone; what could not be undone is left as `failed`, and named.
 * @throws MpmError before anything is made: USAGE, DATABASE_NAME, UNKNOWN_SERVER, TENANT_EXISTS, DATABASE_EXISTS,
 *   errors of files and of the central database; afterwards PROVISION_FAILED, BUSY, INTERRUPTED
 */
export function provision(
  config: Config,
  input: ProvisionInput,
  options: ProvisionOptions = {},
  idle?: ConnectionCache,
): Promise<ProvisionReport> {
  return create(config, input, options, { idle });
}

/** As {@link provision}; its database is new, or a copy of another tenant's. */
export async function create(
  config: Config,
  input: ProvisionInput,
  options: ProvisionOptions,
  { copyOf, idle }: { copyOf?: Original; idle: ConnectionCache | undefined },
): Promise<ProvisionReport> {
  stopIfAborted(options.signal);
  const { database, server = 'default' } = input;
  const name = text('name', input.name, "For example: { name: 'Acme Ltd' }").trim();
  checkCompanyName(name);
  requireBuiltIn(config);
  serverOf(config, server);
  if (database !== undefined) {
    checkDatabaseName(database, (await placeOf(config.central.url)).database);
    if (!input.claim) refuseFolder(config, { database, server });
  }
  if (input.claim) requireFolder(config, { database: database ?? slugOf(name), server });
  const wanted = { name, database, server, fromTemplate: !copyOf && config.templates };
  const look = (connection: Connection, files: Promise<TenantSources>, central: Promise<Central>) =>
    checkServer(connection, central, wanted, files);
  return withCreationConnections(config, server, { look, idle }, async (opened, seen) => {
    for (let left = 4; ; left -= 1) {
      const creation = await register(opened, { ...input, name, server }, seen, {
        copyOf,
        onWaiting: options.onWaiting,
      });
      try {
        return await locked(creation, options, undo);
      } catch (error) {
        // Somebody took the database's name in the meantime; of a name that we chose there are others.
        const again = isChanged(error) || (database === undefined && isExists(error));
        if (!again || left === 0) throw error;
      }
      opened.sources = forFleet(await readTenantSources(config), opened.central.config);
      seen = await look(opened.server, Promise.resolve(opened.sources), Promise.resolve(opened.central));
    }
  });
}

/**
 * Goes on with a creation that was killed or has failed, from wherever it stands.
 * @throws MpmError UNKNOWN_TENANT, TENANT_STATUS, and as {@link provision}
 */
export async function resumeProvision(
  config: Config,
  id: string,
  options: ProvisionOptions = {},
): Promise<ProvisionReport> {
  requireBuiltIn(config);
  stopIfAborted(options.signal);
  const { server, name, buildingAs } = await withCentral(config, async (central) =>
    requireUnfinished(await readProvisioning(central, id), id),
  );
  if (isCopy(buildingAs)) throw cutOffCopy(id, name);
  // Read again under the lock: the one that was at it may have just ended.
  const look = (): Promise<undefined> => Promise.resolve(undefined);
  return withCreationConnections(config, server, { look }, (opened) =>
    locked({ ...opened, id, resumed: true }, options, keepFailed),
  );
}

function cutOffCopy(id: string, name: string): MpmError {
  return new MpmError('TENANT_STATUS', `${name} (${id}) is an interrupted copy`, {
    subject: name,
    hint: `Remove what is left of it, and then clone again: mpm-migrate tenant drop ${idWord(id)}`,
  });
}

export function requireBuiltIn({ tenants }: Config): void {
  if ('builtIn' in tenants) return;
  const key = 'query' in tenants ? 'tenants.query' : 'tenants.table';
  throw new MpmError(
    'USAGE',
    `tenants come from ${key} in the configuration: mpm-migrate does not write to your tables`,
    {
      subject: key,
      hint: 'Create the database and your own row, then: mpm-migrate up --tenant ID',
    },
  );
}

/** So many names are given up because they are another tenant's databases, under other names of the server. */
const MOST_SHARED = 10;

async function register(
  opened: CreationConnections,
  input: ProvisionInput & { server: string },
  { existing, template }: ServerCheck,
  { copyOf, onWaiting }: { copyOf: Original | undefined; onWaiting: ProvisionOptions['onWaiting'] },
  shared: ReadonlySet<string> = new Set(),
): Promise<Creation> {
  const { central, sources } = opened;
  const { name, database, server, labels = {}, id, claim = false } = input;
  const { config } = central;
  const newTenant = {
    name,
    server,
    labels,
    id,
    buildingAs: copyOf ? newCopyName() : newBuildingName(),
    pool: copyOf ? undefined : sources.key,
    sameName: database !== undefined,
    databases: candidates(config, { name, database, server, claim }, new Set([...existing, ...shared])),
  };
  const registered = await registerTenant(central, newTenant, onWaiting);
  const creation: Creation = { ...opened, copyOf, template, id: registered.id, resumed: false };
  const place = { server, database: registered.database };
  try {
    await refuseNamesakes(config, place, registered.namesakes);
    if (claim) claimFolder({ id: registered.id, name, ...place }, config, { others: true });
    return creation;
  } catch (error) {
    const row = await readProvisioning(central, creation.id);
    const undone = row ? await ended(creation, row, error, undo) : asMpmError(error);
    // Of a name that we chose there are others.
    if (database !== undefined || shared.size > MOST_SHARED) throw undone;
    const others = new Set([...shared, registered.database]);
    return register(opened, input, { existing, template }, { copyOf, onWaiting }, others);
  }
}

function* candidates(
  config: Config,
  {
    name,
    database,
    server,
    claim,
  }: { name: string; database: string | undefined; server: string; claim: boolean },
  existing: ReadonlySet<string>,
): Generator<Candidate> {
  const hasFolder = (each: string) => folderInTheWay({ database: each, server }, config) !== undefined;
  if (database !== undefined) {
    // What follows a folder of its own is not made of core, as the pool's are.
    yield { name: database, fits: !hasFolder(database) };
    return;
  }
  for (const each of databaseNames(name, describeUrl(config.central.url).database)) {
    const fits = !hasFolder(each);
    if (!existing.has(each) && (fits || claim)) yield { name: each, fits };
  }
}

/** @throws MpmError TENANT_FOLDER when there is none: it would be made of core, which is not what was asked for */
function requireFolder(config: Config, place: { database: string; server: string }): void {
  if (folderInTheWay(place, config) !== undefined) return;
  const { tenants } = config.migrations;
  throw new MpmError('TENANT_FOLDER', `--claim: there is no folder ${join(tenants, place.database)}`, {
    subject: place.database,
    aftermath: 'nothing was made',
    hint: `Put it there (a dropped tenant's is in ${join(tenants, '.dropped')}), or leave --claim out.`,
  });
}

/** @throws MpmError TENANT_FOLDER: it is not to begin with what is in there, for instance a dropped tenant's (fleet 39) */
function refuseFolder(config: Config, place: { database: string; server: string }): void {
  const folder = folderInTheWay(place, config);
  if (folder === undefined) return;
  throw new MpmError(
    'TENANT_FOLDER',
    `there is a folder for a tenant of the database "${place.database}": ${folder}`,
    {
      subject: place.database,
      aftermath: 'nothing was made',
      hint: 'To use it for the new tenant, add --claim; otherwise, move it elsewhere.',
    },
  );
}

async function locked(
  creation: Creation,
  options: ProvisionOptions,
  onFailure: typeof undo,
): Promise<ProvisionReport> {
  const { central, id, lock } = creation;
  let begun: Provisioning | undefined;
  const work = async (): Promise<ProvisionReport> => {
    begun = requireUnfinished(await readProvisioning(central, id), id);
    return carryOut(creation, begun, options);
  };
  try {
    return await withTenantLock(central.config, id, work, await lock);
  } catch (failed) {
    const cancelled =
      options.cancel?.aborted && !(failed instanceof MpmError && failed.code === 'INTERRUPTED');
    const error = cancelled ? new MpmError('INTERRUPTED', 'cancelled', { cause: failed }) : failed;
    if (begun) throw await ended(creation, begun, error, onFailure);
    const ours = !begun && !creation.resumed && !(error instanceof MpmError && error.code === 'BUSY');
    if (ours) await withdrawRow(creation, error);
    throw error;
  }
}

/** Nothing was done yet; but the row may have a database from the pool, which only a creation may touch. */
async function withdrawRow(creation: Creation, error: unknown): Promise<void> {
  await onCentral(creation, async (central) => {
    const row = await readProvisioning(central, creation.id);
    if (row?.oid)
      await markFailed(central, creation.id, error instanceof Error ? error.message : String(error));
    else await unregisterTenant(central, creation.id);
  });
}

function requireUnfinished(row: Provisioning | undefined, id: string): Provisioning {
  if (!row) {
    throw new MpmError('UNKNOWN_TENANT', `Unknown tenant "${id}"`, {
      subject: id,
      hint: 'mpm-migrate tenant list --status provisioning',
    });
  }
  if (row.status === 'provisioning' || row.status === 'failed') return row;
  throw new MpmError('TENANT_STATUS', `${row.name} (${id}) is ${row.status}: its creation is finished`, {
    subject: row.name,
    hint:
      row.status === 'active'
        ? `mpm-migrate up --tenant ${idWord(id)}`
        : `mpm-migrate tenant show ${idWord(id)}`,
  });
}

function isChanged(error: unknown): boolean {
  return error instanceof MpmError && error.cause instanceof FilesChanged;
}

function isExists(error: unknown): boolean {
  return error instanceof MpmError && error.code === 'DATABASE_EXISTS';
}

/** What a new tenant's server has. */
interface ServerCheck {
  /** Of the databases' names that could be chosen, those that are taken. */
  existing: ReadonlySet<string>;
  /** Looked for while the tenant is registered: until then the connection is in use. */
  template: Promise<Template | undefined>;
}

/**
 * Looks at the server before a tenant is registered.
 * @throws MpmError DATABASE_EXISTS when the database that was asked for is there
 */
async function checkServer(
  connection: Connection,
  central: Promise<Central>,
  wanted: { name: string; database: string | undefined; server: string; fromTemplate: boolean },
  files: Promise<TenantSources>,
): Promise<ServerCheck> {
  const { name, database, server, fromTemplate } = wanted;
  if (database !== undefined) await refuseExisting(connection, database, server);
  const existing = database === undefined ? await namesLike(connection, slugOf(name)) : new Set<string>();
  const template = files.then(async (sources) =>
    fromTemplate ? findTemplate(connection, (await central).config, sources) : undefined,
  );
  template.catch(() => undefined);
  return { existing, template };
}

async function refuseExisting(connection: Connection, database: string, server: string): Promise<void> {
  if (!(await databaseExists(connection, database))) return;
  throw new MpmError('DATABASE_EXISTS', `database "${database}" exists already on server "${server}"`, {
    subject: database,
    hint: "It wasn't changed. Choose another name with --database.",
  });
}

/** Of the names that could be chosen for a slug, those that the server has. */
async function namesLike(connection: Connection, slug: string): Promise<Set<string>> {
  const found = await connection.query<{ name: string }>(
    `select datname::text as name from pg_catalog.pg_database where pg_catalog.starts_with(datname::text, ${literal(slug)})`,
  );
  return new Set(found.map(({ name }) => name));
}
