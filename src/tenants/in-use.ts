import { MpmError } from '../errors.ts';
import { withoutStamp } from '../engine/history/stamp.ts';
import type { Connection } from '../postgres/connection.ts';
import { readDatabaseSettings } from '../postgres/database-settings.ts';
import { literal } from '../postgres/quote.ts';
import type { BuildOptions } from './create/build.ts';

interface Session {
  pid: number;
  application: string;
  user: string;
}

/**
 * @param own the backend of a connection of ours to it
 * @throws MpmError DATABASE_IN_USE, naming who is connected to the database
 */
export async function refuseSessions(server: Connection, database: string, own = 0): Promise<void> {
  const sessions = await server.query<Session>(
    `select pid, coalesce(nullif(application_name, ''), '(no name)') as application, coalesce(usename, '') as "user"
${othersIn(database, own)} order by pid`,
  );
  if (sessions.length === 0) return;
  const who = firstOf(sessions.map(describeSession));
  throw new MpmError('DATABASE_IN_USE', `others are connected to "${database}": ${who}`, {
    subject: database,
    aftermath: 'nothing was changed',
    hint: 'End those sessions, or add --disconnect.',
  });
}

export function describeSession({ pid, application, user }: Session): string {
  return `pid ${pid}, "${application}" as ${user}`;
}

/** Three of what is in the way, and how many more there are. */
export function firstOf(all: readonly string[]): string {
  const more = all.length > 3 ? ` and ${all.length - 3} more` : '';
  return `${all.slice(0, 3).join('; ')}${more}`;
}

/** Ends all sessions of others in a database, and waits for that, 5 s at most. Without the right to, that is an error. */
export async function endSessions(server: Connection, database: string, own = 0): Promise<void> {
  await server.query(`select pg_terminate_backend(pid, 5000) ${othersIn(database, own)}`);
}

/** Whoever has no user is the server itself, as autovacuum. */
function othersIn(database: string, own: number): string {
  return `from pg_catalog.pg_stat_activity
where datname = ${literal(database)} and usesysid is not null and pid <> pg_backend_pid() and pid <> ${own}`;
}

/** Right before the copy: who is connected to the original keeps it from being copied. */
export async function copyOptions(
  server: Connection,
  { database, disconnect }: Original,
): Promise<BuildOptions> {
  if (disconnect) await endSessions(server, database);
  else await refuseSessions(server, database);
  const settings = await readDatabaseSettings(server, database);
  if (!settings) return { template: database };
  // What is copied a moment later may have another history: until `up` has read that, nothing is said of it.
  return { template: database, settings: { ...settings, comment: withoutStamp(settings.comment) } };
}

/** A tenant to be copied. */
export interface Original {
  id: string;
  name: string;
  server: string;
  database: string;
  /** Ends the sessions of others in it, without which it cannot be copied. */
  disconnect: boolean;
}
