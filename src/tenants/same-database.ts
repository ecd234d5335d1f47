import { type Central, withCentral } from '../central/central.ts';
import { findNamesakes, type Namesake } from '../central/list/registry.ts';
import type { Tenant } from '../central/list/tenant.ts';
import type { Config } from '../config/define.ts';
import { asMpmError, MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { connect } from '../postgres/connect.ts';
import { literal } from '../postgres/quote.ts';
import { compareServers } from '../postgres/address.ts';
import { idWord } from '../shell-word.ts';
import { connectServer, directUrlOf, withServer } from './server.ts';

/** A database, and whose it is where it is somebody's. */
type Location = Pick<Tenant, 'server' | 'database'> & { id?: string; name?: string };

/**
 * Refuses what would touch a database that is another tenant's too, under another name of its server.
 * @throws MpmError naming both: CENTRAL_INVALID, or DATABASE_EXISTS where it is nobody's yet; CONNECTION,
 *   UNKNOWN_SERVER, … when a server with a database of this name cannot be asked
 */
export async function refuseSharedDatabase(
  config: Config,
  place: Location,
  central?: Central,
): Promise<void> {
  const find = (open: Central) => findNamesakes(open, place);
  await refuseNamesakes(config, place, await (central ? find(central) : withCentral(config, find)));
}

/** The same, where it is known whose databases have this name. */
export async function refuseNamesakes(
  config: Config,
  place: Location,
  namesakes: readonly Namesake[],
): Promise<void> {
  const other = await findSharing(config, place, namesakes);
  if (!other) return;
  const { server, database, id, name } = place;
  const same = `"${database}" on server "${server}" is "${database}" on server "${other.server}"`;
  if (id === undefined) {
    throw new MpmError('DATABASE_EXISTS', `${nameOf(other)} has this database: ${same}`, {
      subject: database,
      aftermath: 'nothing was changed',
      hint: `Choose another name with --database. Look: mpm-migrate tenant show ${idWord(other.id)}`,
    });
  }
  throw new MpmError(
    'CENTRAL_INVALID',
    `${nameOf({ id, name: name ?? '' })} has the same database as ${nameOf(other)}: ${same}`,
    {
      subject: name || id,
      aftermath: 'nothing was changed',
      hint: `Each tenant needs its own database: fix one of the two rows. Look: mpm-migrate tenant show ${idWord(other.id)}`,
    },
  );
}

/**
 * The one of these tenants whose database is this one; undefined when it is nobody's.
 * @throws MpmError when one of them cannot be asked
 */
export async function findSharing(
  config: Config,
  { server, database }: Location,
  namesakes: readonly Namesake[],
): Promise<Namesake | undefined> {
  if (!namesakes.length) return undefined;
  return withServer(config, server, async (connection) => {
    for (const namesake of namesakes) {
      try {
        if (await leadsTo(config, namesake.server, database, connection)) return namesake;
      } catch (error) {
        throw notAsked(error, database, namesake);
      }
    }
    return undefined;
  });
}

/** Whether the database of that name on another server is on the one that the connection leads to. */
async function leadsTo(
  config: Config,
  server: string,
  database: string,
  connection: Connection,
): Promise<boolean> {
  const target = {
    url: directUrlOf(config, server),
    database,
    applicationName: 'mpm-migrate/identity',
    connectTimeout: config.pace.connectTimeout,
  };
  const other = await connect(target).catch((error: unknown) => {
    if (!(error instanceof MpmError) || error.code !== 'DATABASE_MISSING') throw error;
    // It may be about to be made.
    return connectServer(config, server);
  });
  try {
    if ((await compareServers(connection, other)) !== 'same') return false;
    // A pooler may give this name to another database.
    const own = await connection.query<{ oid: string }>(selectOid(literal(database)));
    const there = await other.query<{ oid: string }>(selectOid('current_database()'));
    return other.database !== database || own[0]?.oid === there[0]?.oid;
  } finally {
    await other.close();
  }
}

function selectOid(name: string): string {
  return `select oid::text as oid from pg_catalog.pg_database where datname = ${name}`;
}

function notAsked(error: unknown, database: string, namesake: Namesake): MpmError {
  const { code, message, database: fields } = asMpmError(error);
  return new MpmError(
    code,
    `whether the database "${database}" of ${nameOf(namesake)} on server "${namesake.server}" is this one is not known: ${message}`,
    {
      subject: namesake.name || namesake.id,
      cause: error,
      ...(fields ? { database: fields } : {}),
      aftermath: 'nothing was changed',
      hint: `Make that server reachable, or correct the row: mpm-migrate tenant show ${idWord(namesake.id)}`,
    },
  );
}

function nameOf({ id, name }: Pick<Tenant, 'id' | 'name'>): string {
  return name ? `${name} (${id})` : `tenant ${id}`;
}
