import { type Central, withCentral } from '../central/central.ts';
import {
  markFailed,
  type Provisioning,
  readProvisioning,
  registerTenant,
  unregisterTenant,
} from '../central/registry.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { type MigrationCache, type MigrationSet, readMigrations } from '../migration/source.ts';
import { type Connection, describeUrl } from '../postgres/connection.ts';
import { checkDatabaseName, databaseExists, findDatabases } from '../postgres/database.ts';
import { dropBuilding, newBuildingName } from './build.ts';
import { carryOut, type Creation, type ProvisionReport, type ProvisionOptions } from './creation.ts';
import { withTenantLock } from './lock.ts';
import { checkCompanyName, chooseDatabase, slugOf } from './name.ts';
import { serverOf, withServer } from './server.ts';

export interface ProvisionInput {
  name: string;
  /** Used exactly as it is, or refused; by default made from the name. */
  database?: string;
  /** Default `default`. */
  server?: string;
  labels?: Readonly<Record<string, string>>;
  /** Default: counted by the central database. */
  id?: string;
}

/**
 * Creates a tenant: its row, its database, its migrations (fleet 13). When it fails, what this call made is
 * undone; what could not be undone is left as `failed`, and named.
 * @throws MpmError before anything is made: USAGE, DATABASE_NAME, UNKNOWN_SERVER, TENANT_EXISTS, DATABASE_EXISTS,
 *   errors of files and of the central database; afterwards PROVISION_FAILED, BUSY, INTERRUPTED
 */
export async function provision(
  config: Config,
  input: ProvisionInput,
  options: ProvisionOptions = {},
): Promise<ProvisionReport> {
  const { database, server = 'default' } = input;
  const name = input.name.trim();
  checkCompanyName(name);
  requireBuiltIn(config);
  serverOf(config, server);
  if (database !== undefined) checkDatabaseName(database, describeUrl(config.central.url).database);
  const files = await readCore(config);
  return withCentral(config, async (central) => {
    for (let left = 4; ; left -= 1) {
      const creation = await register(central, { ...input, name, server });
      try {
        return await locked(creation, files, options, undo);
      } catch (error) {
        // Somebody took the database's name in the meantime; of a name that we chose there are others.
        const again = database === undefined && left > 0 && isExists(error);
        if (!again) throw error;
      }
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
  const files = await readCore(config);
  return withCentral(config, async (central) => {
    requireUnfinished(await readProvisioning(central, id), id);
    // Read again under the lock: the one that was at it may have just ended.
    return locked({ central, id, resumed: true }, files, options, keepFailed);
  });
}

function requireBuiltIn({ tenants }: Config): void {
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

async function readCore(config: Config): Promise<{ core: MigrationSet; cache: MigrationCache }> {
  const cache: MigrationCache = new Map();
  return { core: await readMigrations(config.migrations.core, 'core', cache), cache };
}

async function register(
  central: Central,
  { name, database, server, labels = {}, id }: ProvisionInput & { server: string },
): Promise<Creation> {
  const own = describeUrl(central.config.central.url).database;
  const existing = await withServer(central.config, server, async (connection) => {
    if (database === undefined) return namesLike(connection, slugOf(name));
    if (!(await databaseExists(connection, database))) return new Set<string>();
    throw new MpmError('DATABASE_EXISTS', `database "${database}" exists already on server "${server}"`, {
      subject: database,
      hint: 'It was left as it is. Give another name with --database.',
    });
  });
  const registered = await registerTenant(central, {
    name,
    server,
    labels,
    id,
    buildingAs: newBuildingName(),
    sameName: database !== undefined,
    choose: (taken) =>
      database ?? chooseDatabase(name, (candidate) => taken.has(candidate) || existing.has(candidate), own),
  });
  return { central, id: registered.id, resumed: false };
}

/** Of the names that could be chosen for a slug, those that the server has. */
async function namesLike(connection: Connection, slug: string): Promise<Set<string>> {
  const numbered = Array.from({ length: 200 }, (_, at) => `${slug}_${at + 2}`);
  const found = await findDatabases(connection, [slug, ...numbered]);
  return new Set(found.map((database) => database.name));
}

type OnFailure = (creation: Creation, row: Provisioning, error: unknown) => Promise<MpmError>;

async function locked(
  creation: Creation,
  files: { core: MigrationSet; cache: MigrationCache },
  options: ProvisionOptions,
  onFailure: OnFailure,
): Promise<ProvisionReport> {
  const { central, id } = creation;
  let begun = false;
  try {
    return await withTenantLock(central.config, id, async () => {
      const row = requireUnfinished(await readProvisioning(central, id), id);
      begun = true;
      return carryOut(creation, row, files, options).catch(async (error: unknown) => {
        throw await onFailure(creation, row, error);
      });
    });
  } catch (error) {
    const ours = !begun && !creation.resumed && !(error instanceof MpmError && error.code === 'BUSY');
    if (ours) await onCentral(creation, (open) => unregisterTenant(open, id));
    throw error;
  }
}

function requireUnfinished(row: Provisioning | undefined, id: string): Provisioning {
  if (!row) {
    throw new MpmError('UNKNOWN_TENANT', `There is no tenant with the id "${id}"`, {
      subject: id,
      hint: 'mpm-migrate tenant list --status provisioning',
    });
  }
  if (row.status === 'provisioning' || row.status === 'failed') return row;
  throw new MpmError(
    'TENANT_STATUS',
    `${row.name} (${id}) is ${row.status}: its creation is not in need of going on`,
    {
      subject: row.name,
      hint: row.status === 'active' ? `mpm-migrate up --tenant ${id}` : `mpm-migrate tenant show ${id}`,
    },
  );
}

/** Removes what this call made; what cannot be removed stays in sight as `failed`. */
async function undo(creation: Creation, row: Provisioning, error: unknown): Promise<MpmError> {
  const { config } = creation.central;
  const known = failureOf(error, row);
  try {
    const { database, buildingAs } = row;
    if (buildingAs) {
      const building = { database, buildingAs, oid: row.oid };
      await withServer(config, row.server, (connection) => dropBuilding(connection, building));
    }
    await onCentral(creation, (central) => unregisterTenant(central, row.id));
  } catch (second) {
    const why = second instanceof Error ? second.message : String(second);
    const kept = await keepFailed(creation, row, error);
    return new MpmError(kept.code, `${kept.message}; and undoing it failed: ${why}`, { ...fieldsOf(kept) });
  }
  return new MpmError(known.code, known.message, {
    ...fieldsOf(known),
    aftermath: `nothing is left of it: neither the database "${row.database}" nor the row ${row.id}`,
    hint: known.hint ?? 'Mend the cause, then create it again.',
  });
}

/** Leaves the tenant as `failed` with its step and the reason. */
async function keepFailed(creation: Creation, row: Provisioning, error: unknown): Promise<MpmError> {
  const known = failureOf(error, row);
  const marked = await onCentral(creation, (central) => markFailed(central, row.id, known.message)).then(
    () => true,
    () => false,
  );
  return new MpmError(known.code, known.message, {
    ...fieldsOf(known),
    aftermath: `tenant ${row.id} is left as ${marked ? 'failed' : 'provisioning'}`,
    hint: `Mend the cause, then: mpm-migrate tenant create --resume ${row.id}`,
  });
}

/** On the open connection, or on a new one when that is what broke. */
async function onCentral(creation: Creation, use: (central: Central) => Promise<void>): Promise<void> {
  const { central } = creation;
  if (!central.connection.lost) {
    const done = await use(central).then(
      () => true,
      (error: unknown) => {
        if (!central.connection.lost) throw error;
        return false;
      },
    );
    if (done) return;
  }
  await withCentral(central.config, use);
}

/** In a creation, a failed migration or database is a failed creation; what passes by itself keeps its code. */
function failureOf(error: unknown, row: Provisioning): MpmError {
  const keeps = ['BUSY', 'INTERRUPTED', 'DATABASE_EXISTS', 'PASSWORD', 'CONNECTION'];
  if (error instanceof MpmError && keeps.includes(error.code)) return error;
  const message = error instanceof Error ? error.message : String(error);
  const where = row.step === 'migrations' ? 'applying the migrations' : 'creating the database';
  const fields = error instanceof MpmError ? fieldsOf(error) : { cause: error };
  const { hint: _, aftermath: __, ...kept } = fields;
  return new MpmError('PROVISION_FAILED', `${row.name}: ${where} failed: ${message}`, {
    subject: row.name,
    ...kept,
  });
}

function fieldsOf({ hint, subject, excerpt, database, aftermath, migration, cause }: MpmError) {
  const all = { hint, subject, excerpt, database, aftermath, migration, cause };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function isExists(error: unknown): boolean {
  return error instanceof MpmError && error.code === 'DATABASE_EXISTS';
}
