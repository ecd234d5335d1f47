import { randomBytes } from 'node:crypto';
import { MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import {
  createDatabase,
  type CreateDatabaseOptions,
  type DatabaseFacts,
  dropDatabase,
  findDatabases,
  renameDatabase,
} from '../../postgres/database.ts';
import { applyDatabaseSettings, type DatabaseSettings } from '../../postgres/database-settings.ts';
import { waitForDatabases } from '../../postgres/active-databases.ts';
import { SQLSTATE, sqlstateOf } from '../../postgres/sqlstate.ts';

/**
 * A database that is being made. It is made under a name that nobody else can mean, its oid is written down, and
 * only then it gets its own name: so after a kill at any moment it is known which databases are ours, and one
 * that was there before is never taken for one.
 */
export interface Building {
  database: string;
  buildingAs: string;
  /** As written down; null while there is no database. */
  oid: string | null;
  /** Nothing of it can be there yet. */
  isNew?: boolean;
}

/** How it is made. */
export interface BuildOptions extends CreateDatabaseOptions {
  /** What the template has that a copy lacks. */
  settings?: DatabaseSettings | undefined;
  /** Told why, when the template cannot be copied now; then it is made of `base`. */
  onNoTemplate?: ((why: string) => void) | undefined;
  base?: string | undefined;
}

/** `created` now; `taken`, finished, from the pool; `there` since an earlier attempt. */
export type Built = 'created' | 'taken' | 'there';

const NEW = 'mpm_new_';
const POOLED = 'mpm_pool_';
const COPIED = 'mpm_copy_';

export function newBuildingName(): string {
  return `${NEW}${randomBytes(12).toString('hex')}`;
}

export function newCopyName(): string {
  return `${COPIED}${randomBytes(12).toString('hex')}`;
}

/** Of a copy of another tenant it is not known any more, once its creation was cut off, of which. */
export function isCopy(buildingAs: string | null): boolean {
  return buildingAs?.startsWith(COPIED) ?? false;
}

export function newPoolName(): string {
  return `${POOLED}${randomBytes(12).toString('hex')}`;
}

/** What `verify` compares with is called so until it is dropped. */
const REFERENCE = /^mpm_verify_[0-9a-f]{8}_[0-9a-f]{16}$/;

/** A name that a database of ours has for a while: until it gets a tenant's, or is dropped. */
export function isUnfinishedName(name: string): boolean {
  if (REFERENCE.test(name)) return true;
  const prefix = [NEW, COPIED, POOLED].find((each) => name.startsWith(each));
  return prefix !== undefined && /^[0-9a-f]{24}$/.test(name.slice(prefix.length));
}

/**
 * Makes the database, or what is left to do of it.
 * @param record writes its oid down
 * @throws MpmError DATABASE_EXISTS when somebody else's has the name, and what `createDatabase` throws
 */
export async function buildDatabase(
  connection: Connection,
  building: Building,
  record: (oid: string) => Promise<void>,
  options: () => Promise<BuildOptions>,
): Promise<Built> {
  const { database, buildingAs } = building;
  const found = building.isNew ? NOTHING : await inspectDatabase(connection, building);
  if (found.final) {
    if (found.final.oid !== building.oid) throw taken(database);
    if (found.final.valid) return 'there';
    // An interrupted DROP DATABASE of ours.
    await dropDatabase(connection, database);
  }
  if (isPooled(building, found.unnamed)) {
    // Kept closed while it waited, so that nobody was in it.
    const open = `alter database "${database.replaceAll('"', '""')}" with allow_connections true`;
    await renameDatabase(connection, buildingAs, database, [open]);
    return 'taken';
  }
  // How far an earlier attempt came with it is not known; nobody has used it.
  if (found.unnamed) await dropDatabase(connection, buildingAs);
  const settings = await createFrom(connection, buildingAs, await options());
  const [made] = await findDatabases(connection, [buildingAs]);
  if (!made) throw new MpmError('DATABASE_MISSING', `the new database "${database}" is gone`);
  building.oid = made.oid;
  await record(made.oid);
  await renameDatabase(
    connection,
    buildingAs,
    database,
    settings ? applyDatabaseSettings(database, settings) : [],
  );
  return 'created';
}

/** @returns what the new database lacks of its template */
export async function createFrom(
  connection: Connection,
  name: string,
  { settings, onNoTemplate, base, ...create }: BuildOptions,
): Promise<DatabaseSettings | undefined> {
  try {
    await createDatabase(connection, name, create);
    return settings;
  } catch (error) {
    if (!onNoTemplate || !isOfTemplate(error)) throw error;
    onNoTemplate(error.message);
    await createDatabase(connection, name, { ...create, template: base });
    return undefined;
  }
}

/**
 * It is in use, was dropped by who made the next one, or is what the server does not copy any more: whatever it says,
 * what is the fault of something else is met again without the template.
 */
function isOfTemplate(error: unknown): error is Error {
  if (!(error instanceof MpmError) || sqlstateOf(error) === SQLSTATE.queryCanceled) return false;
  return error.code === 'DATABASE_IN_USE' || error.code === 'PROVISION_FAILED';
}

/** Drops what of it is ours. */
export async function dropBuilding(connection: Connection, building: Building): Promise<void> {
  const { final, unnamed } = await inspectDatabase(connection, building);
  if (unnamed) await dropDatabase(connection, building.buildingAs, { disconnect: true });
  if (final && final.oid === building.oid) {
    await dropDatabase(connection, building.database, { disconnect: true });
  }
}

/** What there is of a building. */
interface Remains {
  final?: DatabaseFacts | undefined;
  unnamed?: DatabaseFacts | undefined;
}

const NOTHING: Remains = {};

/** What an earlier attempt left, once nothing of it is at work in the server any more. */
async function inspectDatabase(connection: Connection, { database, buildingAs }: Building): Promise<Remains> {
  await waitForDatabases(connection, [database, buildingAs]);
  const found = await findDatabases(connection, [database, buildingAs]);
  return {
    final: found.find(({ name }) => name === database),
    unnamed: found.find(({ name }) => name === buildingAs),
  };
}

/** Only what the pool gave has an oid before it has its name. */
function isPooled({ buildingAs, oid }: Building, unnamed: DatabaseFacts | undefined): boolean {
  return (
    buildingAs.startsWith(POOLED) && unnamed !== undefined && unnamed.unfit === null && unnamed.oid === oid
  );
}

function taken(database: string): MpmError {
  return new MpmError(
    'DATABASE_EXISTS',
    `database "${database}" exists already, and was not made by this creation`,
    {
      subject: database,
      hint: "It wasn't changed. Choose another name with --database.",
    },
  );
}
