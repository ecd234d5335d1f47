import { withCentral } from '../central/central.ts';
import { readTenant } from '../central/list/change.ts';
import { registerTenant } from '../central/list/registry.ts';
import type { Config } from '../config/define.ts';
import { detectTool } from '../dialects/detect.ts';
import { fromFlags } from '../dialects/read-tool.ts';
import { MpmError, stopIfAborted } from '../errors.ts';
import { requireHistory, requireWhole } from '../engine/history/lost.ts';
import { type DatabaseState, readStampInput, readState, type StateOptions } from '../engine/history/read.ts';
import type { Connection } from '../postgres/connection.ts';
import { lossOf, placeOf, withConnection } from '../postgres/connect.ts';
import { checkDatabaseName } from '../postgres/database.ts';
import { idWord } from '../shell-word.ts';
import { newBuildingName } from './create/build.ts';
import type { ChangeOptions, TenantChange } from './change.ts';
import { checkCompanyName } from './name.ts';
import { requireBuiltIn } from './create/provision.ts';
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
    const found = await inspectDatabase(central.config, server, database);
    await refuseSharedDatabase(config, { server, database, name }, central);
    stopIfAborted(signal);
    const newTenant = {
      name,
      server,
      labels,
      id,
      sameName: true,
      adopted: found.oid,
      buildingAs: newBuildingName(),
      databases: [{ name: database, fits: false }],
    };
    const registered = await registerTenant(central, newTenant);
    const tenant = await readTenant(central, registered.id);
    return {
      done: 'adopted',
      tenant,
      notices: found.notices.map((text) => text.replaceAll('{tenant}', idWord(tenant.id))),
    };
  });
}

async function inspectDatabase(config: Config, server: string, database: string) {
  const url = directUrlOf(config, server);
  const { connectTimeout } = config.pace;
  const target = { url, database, applicationName: 'mpm-migrate/adopt', connectTimeout };
  try {
    return await withConnection(target, async (connection) => {
      connection.describeLoss = lossOf(`database "${database}"`);
      const options = { history: config.history };
      const found = await readState(connection, options);
      const [own] = await connection.query<{ oid: string }>(
        'select oid::text as oid from pg_catalog.pg_database where datname = pg_catalog.current_database()',
      );
      return { notices: await problemsOf(connection, options, found), oid: own?.oid ?? '' };
    });
  } catch (error) {
    if (!(error instanceof MpmError) || error.code !== 'DATABASE_MISSING') throw error;
    throw new MpmError('DATABASE_MISSING', `database "${database}" does not exist on server "${server}"`, {
      subject: database,
      cause: error,
      hint: 'To create one: mpm-migrate tenant create NAME --database NAME',
    });
  }
}

/** What `up` will refuse it for, with what to type. */
async function problemsOf(
  connection: Connection,
  options: StateOptions,
  found: DatabaseState,
): Promise<string[]> {
  try {
    requireHistory(found, {});
    await requireWhole(connection, options, found, await readStampInput(connection));
    return [];
  } catch (error) {
    if (!(error instanceof MpmError) || !['NOT_EMPTY', 'HISTORY_LOST'].includes(error.code)) throw error;
    const tool = error.code === 'NOT_EMPTY' ? await toolNotices(connection) : undefined;
    return tool ?? [error.message, ...(error.hint?.split('\n') ?? [])];
  }
}

/** Whose it was until now, where another tool's table says that. */
async function toolNotices(connection: Connection): Promise<string[] | undefined> {
  try {
    const found = await detectTool(connection);
    if (!found) return undefined;
    const { tool, place, applied } = found;
    return [
      `${tool} migrated it until now: ${applied.length} in ${place.schema}.${place.table}`,
      ['To take that over: mpm-migrate baseline --tenant {tenant}', fromFlags(tool, place)].join(' '),
    ];
  } catch (error) {
    if (!(error instanceof MpmError) || error.code !== 'ADOPTION') throw error;
    return [error.message, ...(error.hint?.split('\n') ?? [])];
  }
}
