import pg from 'pg';
import { parse } from 'pg-connection-string';
import { type DatabaseErrorFields, MpmError } from '../errors.ts';
import { rememberUrl } from '../secrets.ts';
import { Connection } from './connection.ts';
import { rememberKeys } from './scram.ts';
import { databaseFields, isServerError, SQLSTATE, sqlstateOf } from './sqlstate.ts';

rememberKeys();

const MOST_URLS = 200;

export interface DatabaseTarget {
  url: string;
  /** Overrides the database of the URL. */
  database?: string;
  applicationName: string;
  /** ms */
  connectTimeout: number;
}

/** Opens a connection. Throws MpmError PASSWORD, DATABASE_MISSING or CONNECTION; the URL's password is in none of them. */
export async function connect(target: DatabaseTarget): Promise<Connection> {
  const config = clientConfig(target);
  try {
    return await open(config);
  } catch (error) {
    // libpq's `prefer` and `allow` go on without TLS where the server has none; pg does not.
    if (!/sslmode=(prefer|allow)\b/.test(target.url) || !/does not support SSL/.test(String(error))) {
      throw connectError(error, target);
    }
    return open({ ...config, ssl: false }).catch((again: unknown) => {
      throw connectError(again, target);
    });
  }
}

async function open(config: pg.ClientConfig): Promise<Connection> {
  const client = new pg.Client(config);
  const connection = new Connection(client);
  await client.connect();
  return connection;
}

/** @param options.leave as {@link Connection.leave}: a round trip less */
export async function withConnection<T>(
  target: DatabaseTarget,
  use: (connection: Connection) => Promise<T>,
  { leave = false }: { leave?: boolean } = {},
): Promise<T> {
  const connection = await connect(target);
  try {
    return await use(connection);
  } finally {
    if (leave) connection.leave();
    else await connection.close();
  }
}

const parsedUrls = new Map<string, pg.ClientConfig>();
const describedUrls = new Map<string, UrlPlace>();

/** Where a URL leads. */
interface UrlPlace {
  host: string;
  port: number;
  database: string;
  user: string;
}

/** A fleet has few servers and many databases: each URL is taken apart once, unless it names files. */
function parsedUrl(url: string): pg.ClientConfig {
  const known = parsedUrls.get(url);
  if (known) return known;
  rememberUrl(url);
  const parsed = parse(url, { useLibpqCompat: true }) as unknown as pg.ClientConfig;
  if (parsedUrls.size >= MOST_URLS) parsedUrls.clear();
  if (!/[?&]ssl(cert|key|rootcert)=/.test(url)) parsedUrls.set(url, parsed);
  return parsed;
}

/** pg's own form of a target; `sslmode` means what libpq means by it. */
export function clientConfig(target: DatabaseTarget): pg.ClientConfig {
  return {
    ...parsedUrl(target.url),
    ...(target.database === undefined ? {} : { database: target.database }),
    application_name: Buffer.from(target.applicationName).subarray(0, 63).toString(),
    connectionTimeoutMillis: target.connectTimeout,
    keepAlive: true,
  };
}

/** Where a URL leads, without its password. */
export function describeUrl(url: string): UrlPlace {
  const known = describedUrls.get(url);
  if (known) return known;
  const { host, port, database, user } = new pg.Client(
    clientConfig({ url, applicationName: '', connectTimeout: 0 }),
  );
  const place = { host, port, database: database ?? '', user: user ?? '' };
  if (describedUrls.size >= MOST_URLS) describedUrls.clear();
  describedUrls.set(url, place);
  return place;
}

/** Where somebody answers, but not as hoped. */
const HINTS: Record<string, string> = {
  [SQLSTATE.tooManyConnections]:
    'Try again when others have ended; or raise max_connections, or the limit of the role or of the database.',
  // PgBouncer says everything with this one, and hands on what the server said.
  [SQLSTATE.protocolViolation]:
    'A pooler says so: see its log, or give the server a directUrl past it (servers.<name>.directUrl).',
  [SQLSTATE.cannotConnectNow]: 'It is starting, stopping or recovering: try again in a moment.',
};

function connectError(error: unknown, target: DatabaseTarget): MpmError {
  const { host, port, database: inUrl, user } = describeUrl(target.url);
  const database = target.database ?? inUrl;
  const at = `${host}:${port}`;
  const options = {
    subject: database,
    cause: error,
    ...(isServerError(error) ? { database: databaseFields(error) } : {}),
  };
  const sqlstate = sqlstateOf(error);
  switch (sqlstate) {
    case SQLSTATE.invalidPassword:
    case SQLSTATE.invalidAuthorization:
      return new MpmError('PASSWORD', `${at} does not let user "${user}" in: ${(error as Error).message}`, {
        ...options,
        hint: "Check user and password in the URL, PGPASSWORD or .pgpass, and the server's pg_hba.conf.",
      });
    case undefined:
      // What pg says when the server asks for one and there is none.
      if (/password must be a (?:non-empty )?string/.test(reasonOf(error))) {
        return new MpmError('PASSWORD', `${at} asks for a password of user "${user}", and none was given`, {
          ...options,
          hint: 'Put it into the URL, PGPASSWORD or .pgpass.',
        });
      }
      break;
    case SQLSTATE.unknownDatabase:
      return databaseMissing(target, options);
  }
  return new MpmError('CONNECTION', `cannot connect to database "${database}" on ${at}: ${reasonOf(error)}`, {
    ...options,
    hint:
      (sqlstate && HINTS[sqlstate]) ??
      `Is the server up and reachable? Try: psql -h ${host} -p ${port} -U ${user} -d ${database}`,
  });
}

/** What a connection to it would end with. */
export function databaseMissing(
  { url, database }: Pick<DatabaseTarget, 'url' | 'database'>,
  options: { cause?: unknown; database?: DatabaseErrorFields } = {},
): MpmError {
  const { host, port, database: inUrl } = describeUrl(url);
  const name = database ?? inUrl;
  return new MpmError('DATABASE_MISSING', `database "${name}" does not exist on ${host}:${port}`, {
    subject: name,
    ...options,
  });
}

/** Happy Eyeballs throws an AggregateError with an empty message: its parts say what happened. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
