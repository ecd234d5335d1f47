import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { connect, type DatabaseTarget, describeUrl } from '../postgres/connect.ts';
import { createDatabase, type CreateDatabaseOptions } from '../postgres/database.ts';
import { identifier } from '../postgres/quote.ts';
import { connectCentral, refuseTenant } from './central.ts';

/**
 * Creates the central database if it is missing; true when this call did. Refuses a tenant's database: our
 * tables do not belong there.
 */
export async function ensureDatabase(config: Config): Promise<boolean> {
  try {
    const connection = await connectCentral(config);
    try {
      await refuseTenant(connection, config);
    } finally {
      await connection.close();
    }
    return false;
  } catch (error) {
    if (!(error instanceof MpmError) || error.code !== 'DATABASE_MISSING') throw error;
  }
  const { database } = describeUrl(config.central.url);
  const connection = await connectNextTo(config);
  try {
    await createDatabase(connection, database, rightsOf(config));
    return true;
  } catch (error) {
    // Another process was faster: it is there, which is all that is needed.
    if (error instanceof MpmError && error.code === 'DATABASE_EXISTS') return false;
    if (error instanceof MpmError && error.code === 'PROVISION_FAILED') {
      throw new MpmError('CENTRAL_FAILED', `central ${error.message}`, {
        subject: database,
        cause: error,
        ...(error.database ? { database: error.database } : {}),
        hint: `Let the user create databases, or have it made: create database ${identifier(database)};`,
      });
    }
    throw error;
  } finally {
    await connection.close();
  }
}

/** What the databases that we make start from, whom they belong to, and who may connect to them. */
export function rightsOf({ history, databases }: Config): CreateDatabaseOptions {
  return { owner: history.owners[0], connect: databases.connect, template: databases.template };
}

/** A database of the same server that is always there, or nearly. */
async function connectNextTo(config: Config): Promise<Connection> {
  const target = { ...centralTarget(config), database: 'postgres' };
  return connect(target).catch((error: unknown) => {
    if (!(error instanceof MpmError) || error.code !== 'DATABASE_MISSING') throw error;
    return connect({ ...target, database: 'template1' });
  });
}

/** The central database, as the engine is given it. */
export function centralTarget(config: Config): DatabaseTarget {
  return {
    url: config.central.url,
    applicationName: 'mpm-migrate/central',
    connectTimeout: config.pace.connectTimeout,
  };
}
