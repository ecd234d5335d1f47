import { randomBytes } from 'node:crypto';
import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import {
  createDatabase,
  type CreateDatabaseOptions,
  dropDatabase,
  findDatabases,
  renameDatabase,
} from '../postgres/database.ts';

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
}

export function newBuildingName(): string {
  return `mpm_new_${randomBytes(12).toString('hex')}`;
}

/**
 * Makes the database, or what is left to do of it.
 * @param record writes its oid down
 * @returns whether this call created it
 * @throws MpmError DATABASE_EXISTS when somebody else's has the name, and what `createDatabase` throws
 */
export async function buildDatabase(
  connection: Connection,
  building: Building,
  record: (oid: string) => Promise<void>,
  options: CreateDatabaseOptions = {},
): Promise<boolean> {
  const found = await lookAt(connection, building);
  if (found.final) {
    if (found.final.oid !== building.oid) throw taken(building.database);
    if (found.final.valid) return false;
    // An interrupted DROP DATABASE of ours.
    await dropDatabase(connection, building.database);
  }
  const left = found.unnamed;
  if (left && !left.valid) await dropDatabase(connection, building.buildingAs);
  const create = !left?.valid;
  if (create) await createDatabase(connection, building.buildingAs, options);
  const [made] = await findDatabases(connection, [building.buildingAs]);
  if (!made) throw new MpmError('DATABASE_MISSING', `the new database "${building.database}" is gone`);
  building.oid = made.oid;
  await record(made.oid);
  await renameDatabase(connection, building.buildingAs, building.database);
  return create;
}

/** Drops what of it is ours. */
export async function dropBuilding(connection: Connection, building: Building): Promise<void> {
  const { final, unnamed } = await lookAt(connection, building);
  if (unnamed) await dropDatabase(connection, building.buildingAs, { disconnect: true });
  if (final && final.oid === building.oid) {
    await dropDatabase(connection, building.database, { disconnect: true });
  }
}

async function lookAt(connection: Connection, { database, buildingAs }: Building) {
  const found = await findDatabases(connection, [database, buildingAs]);
  return {
    final: found.find(({ name }) => name === database),
    unnamed: found.find(({ name }) => name === buildingAs),
  };
}

function taken(database: string): MpmError {
  return new MpmError(
    'DATABASE_EXISTS',
    `database "${database}" exists already, and was not made by this creation`,
    {
      subject: database,
      hint: 'It was left as it is. Give another name with --database.',
    },
  );
}
