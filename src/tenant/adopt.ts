import { withCentral } from '../central/central.ts';
import { readTenant } from '../central/change.ts';
import { registerTenant } from '../central/registry.ts';
import type { Config } from '../config/define.ts';
import { MpmError, stopIfAborted } from '../errors.ts';
import { readStanding } from '../migration/read.ts';
import { lossOf, placeOf, withConnection } from '../postgres/connect.ts';
import { checkDatabaseName } from '../postgres/database.ts';
import { newBuildingName } from './build.ts';
import type { ChangeOptions, TenantChange } from './change.ts';
import { checkCompanyName } from './name.ts';
import { requireBuiltIn } from './provision.ts';
import { refuseSharedDatabase } from './same-database.ts';
import { directUrlOf } from './server.ts';

export interface AdoptInput {
  name: string;
  /** It exists; nothing in it is changed. */
  database: string;
  /** Default `default`. */
  server?: string;
  labels?: Readonly<Record<string, string>>;
  id?: string;
}

/**
 * Registers a database that exists as a tenant's.
 * @throws MpmError USAGE, DATABASE_NAME, DATABASE_MISSING, WRONG_DATABASE for a central one, DATABASE_EXISTS when it
 *   is another tenant's, TENANT_EXISTS when it has this id
 */
export async function adopt(
  config: Config,
  input: AdoptInput,
  { signal }: ChangeOptions = {},
): Promise<TenantChange> {
  const { database, server = 'default', labels = {}, id } = input;
  const name = input.name.trim();
  requireBuiltIn(config);
  checkCompanyName(name);
  checkDatabaseName(database, (await placeOf(config.central.url)).database);
  stopIfAborted(signal);
  return withCentral(config, async (central) => {
    const found = await look(central.config, server, database);
    await refuseSharedDatabase(config, { server, database, name }, central);
    stopIfAborted(signal);
    const newcomer = {
      name,
      server,
      labels,
      id,
      sameName: true,
      adopted: true,
      buildingAs: newBuildingName(),
      databases: [{ name: database, fits: false }],
    };
    const registered = await registerTenant(central, newcomer);
    const tenant = await readTenant(central, registered.id);
    const filled = !found.bootstrapped && found.objects.length > 0;
    const baseline = `it has tables and no history: mpm-migrate baseline --tenant ${tenant.id} --to NAME says where it stands`;
    return { done: 'adopted', tenant, notices: filled ? [baseline] : [] };
  });
}

async function look(config: Config, server: string, database: string) {
  const url = directUrlOf(config, server);
  const { connectTimeout } = config.pace;
  const target = { url, database, applicationName: 'mpm-migrate/adopt', connectTimeout };
  try {
    return await withConnection(target, (connection) => {
      connection.describeLoss = lossOf(`database "${database}"`);
      return readStanding(connection, { history: config.history });
    });
  } catch (error) {
    if (!(error instanceof MpmError) || error.code !== 'DATABASE_MISSING') throw error;
    throw new MpmError('DATABASE_MISSING', `database "${database}" does not exist on server "${server}"`, {
      subject: database,
      cause: error,
      hint: 'A new one is made by: mpm-migrate tenant create NAME --database NAME',
    });
  }
}
