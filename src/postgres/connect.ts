import pg from 'pg';
import { parse } from 'pg-connection-string';
import { type DatabaseErrorFields, MpmError } from '../errors.ts';
import { rememberSecret, rememberUrl } from '../secrets.ts';
import type { Address, AddressSource, ConnectionRequest, UrlPlace } from './address.ts';
import { Connection } from './connection.ts';
import { sightOf } from './vigil.ts';
import { identifier } from './quote.ts';
import { databaseFields, isServerError, SQLSTATE, sqlstateOf } from './sqlstate.ts';

const MOST_URLS = 200;

export interface DatabaseTarget {
  url: Address;
  /** Overrides the database of the URL. */
  database?: string;
  /** Whose database it is, for who asks for a login of its own. */
  tenant?: ConnectionRequest['tenant'];
  /** For a session of an application. */
  session?: boolean;
  applicationName: string;
  /** ms */
  connectTimeout: number;
}

/** A target that has been looked up. */
type Known = Omit<DatabaseTarget, 'url'> & { config: pg.ClientConfig; url?: string; source?: AddressSource };

/**
 * Opens a connection.
 * @throws MpmError PASSWORD, DATABASE_MISSING or CONNECTION, and what looking up the address throws; the password is
 *   in none of them
 */
export async function connect(target: DatabaseTarget): Promise<Connection> {
  const { url } = target;
  if (typeof url === 'string') return openKnown(knownUrl(target, url));
  const found = await lookUp(target, url);
  if (typeof found !== 'string') return openKnown({ ...target, config: found, source: url, url: '' });
  try {
    return await openKnown({ ...knownUrl(target, found), source: url });
  } catch (error) {
    if (!(error instanceof MpmError) || error.code !== 'PASSWORD') throw error;
    const other = await url.again?.(found);
    if (other === undefined) throw error;
    return openKnown({ ...knownUrl(target, other), source: url });
  }
}

function knownUrl(target: DatabaseTarget, url: string): Known {
  const config = parsedUrl(url);
  return { ...target, url, config: { ...config, ...keepAliveOf(config), ...settingsOf(target) } };
}

/** What an address leads to. @throws MpmError as {@link connect}, of what looks it up */
async function lookUp(target: DatabaseTarget, source: AddressSource): Promise<string | pg.ClientConfig> {
  const { session = false, database } = target;
  const tenant = target.tenant && { id: target.tenant.id, name: target.tenant.name };
  const found = await source.lookUp({ tenant, session, database });
  const { connectionString, ...given } = typeof found === 'string' ? { connectionString: found } : found;
  const config: pg.ClientConfig = {
    ...(connectionString === undefined ? {} : parsedUrl(connectionString)),
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...settingsOf(target),
  };
  Object.assign(config, keepAliveOf(config));
  if (!config.database && source.database !== undefined) config.database = source.database;
  source.place = describe(config);
  config.password = noted(config);
  return typeof found === 'string' ? found : config;
}

/**
 * What PostgreSQL's own programs take an address from. What they know by other names than the driver, or not at all, is
 * said in libpq's words.
 * @param version the program's major version
 */
export async function libpqEnvironment(target: DatabaseTarget, version: number): Promise<NodeJS.ProcessEnv> {
  const { url } = target;
  const found = typeof url === 'string' ? url : await lookUp(target, url);
  const config = typeof found === 'string' ? knownUrl(target, found).config : found;
  const { host, port, user, database, ssl, options } = config;
  const password = await (typeof config.password === 'function' ? config.password() : config.password);
  const words =
    typeof found === 'string' ? new URLSearchParams(found.split('?')[1] ?? '') : new URLSearchParams();
  const checks =
    ssl !== undefined && ssl !== false && !(typeof ssl === 'object' && ssl.rejectUnauthorized === false);
  const mode = checks ? 'verify-full' : ssl ? 'require' : undefined;
  const settings = {
    PGHOST: host,
    PGPORT: port === undefined ? undefined : String(port),
    PGUSER: user,
    PGPASSWORD: typeof password === 'string' ? password : undefined,
    PGDATABASE: database,
    PGOPTIONS: options,
    PGAPPNAME: target.applicationName,
    PGCONNECT_TIMEOUT: String(Math.max(2, Math.ceil(target.connectTimeout / 1000))),
    PGSSLMODE: words.get('sslmode') ?? mode,
    PGSSLROOTCERT:
      words.get('sslrootcert') ?? (mode === 'verify-full' && version >= 16 ? 'system' : undefined),
    PGSSLCERT: words.get('sslcert') ?? undefined,
    PGSSLKEY: words.get('sslkey') ?? undefined,
    PGSERVICE: undefined,
  };
  return settings;
}

/** Its password, which is masked from then on. */
function noted({ password, user, host, database }: pg.ClientConfig): pg.ClientConfig['password'] {
  const note = (secret: string | undefined) => rememberSecret(secret, [user, host, database]);
  if (typeof password !== 'function') {
    note(password);
    return password;
  }
  return async () => {
    const secret = await password();
    note(secret);
    return secret;
  };
}

async function openKnown(known: Known): Promise<Connection> {
  const { config, url = '' } = known;
  try {
    return await watched(known, config);
  } catch (error) {
    // libpq's `prefer` and `allow` go on without TLS where the server has none; pg does not.
    if (!/sslmode=(prefer|allow)\b/.test(url) || !/does not support SSL/.test(String(error))) {
      throw connectError(error, known);
    }
    return watched(known, { ...config, ssl: false }).catch((again: unknown) => {
      throw connectError(again, known);
    });
  }
}

/** Opened, and looked after while the server says nothing; an application's session is its own affair. */
async function watched({ session }: Known, config: pg.ClientConfig): Promise<Connection> {
  const connection = await open(config);
  const every = config.keepAlive === false ? 0 : (config.keepAliveInitialDelayMillis ?? 0);
  if (every > 0 && !session) {
    const { application_name: applicationName = '' } = config;
    const application_name = `${applicationName.slice(0, 58)}/look`;
    const other = (patience: number) =>
      open({
        ...config,
        application_name,
        connectionTimeoutMillis: Math.min(patience, config.connectionTimeoutMillis ?? patience),
      });
    connection.vigil = {
      every,
      look: (pid, patience) => sightOf(() => other(patience), { pid, applicationName }),
    };
  }
  return connection;
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

/** What of pg's configuration is ours to say; `sslmode` in a URL means what libpq means by it. */
function settingsOf(target: Omit<DatabaseTarget, 'url'>): pg.ClientConfig {
  return {
    ...(target.database === undefined ? {} : { database: target.database }),
    application_name: Buffer.from(target.applicationName).subarray(0, 63).toString(),
    connectionTimeoutMillis: target.connectTimeout,
  };
}

/** s of silence before a connection is probed: a flow that is forgotten on the way is found out in a minute (engine 61). */
const KEEPALIVE = 30;

/** libpq's words for it; of what Node has no way to set, the count and the pace of the probes, 10 and 1 s are Node's own. */
function keepAliveOf(config: pg.ClientConfig): pg.ClientConfig {
  const { keepalives, keepalives_idle: idle } = config as { keepalives?: string; keepalives_idle?: string };
  if (keepalives === '0' || config.keepAlive === false) return { keepAlive: false };
  const seconds = Number(idle) > 0 ? Number(idle) : KEEPALIVE;
  return {
    keepAlive: true,
    keepAliveInitialDelayMillis: config.keepAliveInitialDelayMillis || seconds * 1000,
  };
}

/** Where an address leads, without its password; of one that is looked up, where it led the last time. */
export function describeUrl(address: Address): UrlPlace {
  if (typeof address !== 'string') return address.place ?? NOWHERE;
  const known = describedUrls.get(address);
  if (known) return known;
  const place = describe(parsedUrl(address));
  if (describedUrls.size >= MOST_URLS) describedUrls.clear();
  describedUrls.set(address, place);
  return place;
}

const NOWHERE: UrlPlace = { host: '', port: 0, database: '', user: '' };

/** Where an address leads; it is looked up if it was not yet. @throws MpmError of what looks it up */
export async function placeOf(address: Address): Promise<UrlPlace> {
  if (typeof address !== 'string' && !address.place) {
    await lookUp({ url: address, applicationName: '', connectTimeout: 0 }, address);
  }
  return describeUrl(address);
}

function describe(config: pg.ClientConfig): UrlPlace {
  const { host, port, database, user } = new pg.Client(config);
  return { host, port, database: database ?? '', user: user ?? '' };
}

/** Where somebody answers, but not as hoped. */
const HINTS: Record<string, (database: string) => string> = {
  [SQLSTATE.tooManyConnections]: () =>
    'Try again later; or raise max_connections, or the limit of the role or database.',
  // PgBouncer says everything with this one, and hands on what the server said.
  [SQLSTATE.protocolViolation]: () =>
    'A pooler reports this: see its log, or set a directUrl that bypasses it (servers.<name>.directUrl).',
  [SQLSTATE.insufficientPrivilege]: () =>
    "The server is up, but this user can't connect: grant connect on database … to …",
  [SQLSTATE.cannotConnectNow]: () =>
    'The server is starting, stopping, or recovering: try again in a moment.',
  // As a move that was killed leaves it, which goes on when it is done again.
  [SQLSTATE.notInPrerequisiteState]: (database) =>
    `The server is up, but this database doesn't accept connections. If a move was interrupted, move it again; or open it: alter database ${identifier(database)} allow_connections true;`,
};

function connectError(error: unknown, { config, source }: Known): MpmError {
  const place = describe(config);
  const { host, port, database, user } = place;
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
      return new MpmError('PASSWORD', `${at} rejected user "${user}": ${(error as Error).message}`, {
        ...options,
        hint: source
          ? `Check the login from ${source.name}, and the server's pg_hba.conf.`
          : "Check the user and password in the URL, PGPASSWORD, or .pgpass, and the server's pg_hba.conf.",
      });
    case undefined:
      // What pg says when the server asks for one and there is none.
      if (/password must be a (?:non-empty )?string/.test(reasonOf(error))) {
        return new MpmError('PASSWORD', `${at} requires a password for user "${user}"`, {
          ...options,
          hint: source ? `${source.name} doesn't return one.` : 'Put it in the URL, PGPASSWORD, or .pgpass.',
        });
      }
      break;
    case SQLSTATE.unknownDatabase:
      return missingAt(place, options);
  }
  return new MpmError('CONNECTION', `can't connect to database "${database}" on ${at}: ${reasonOf(error)}`, {
    ...options,
    hint:
      (sqlstate && HINTS[sqlstate]?.(database)) ??
      `Is the server up and reachable? Try: psql -h ${host} -p ${port} -U ${user} -d ${database}`,
  });
}

/** What a connection to it would end with. */
export function databaseMissing({ url, database }: Pick<DatabaseTarget, 'url' | 'database'>): MpmError {
  const place = describeUrl(url);
  return missingAt({ ...place, database: database ?? place.database });
}

function missingAt(
  { host, port, database }: UrlPlace,
  options: { cause?: unknown; database?: DatabaseErrorFields } = {},
): MpmError {
  return new MpmError('DATABASE_MISSING', `database "${database}" doesn't exist on ${host}:${port}`, {
    subject: database,
    ...options,
  });
}

/** For {@link Connection.describeLoss}. @param what it was connected to: `the central database` */
export function lossOf(what: string): (cause: unknown) => MpmError {
  return (cause) =>
    new MpmError('CONNECTION', `the connection to ${what} was lost: ${reasonOf(cause)}`, {
      cause,
      ...(isServerError(cause) ? { database: databaseFields(cause) } : {}),
      hint: "Check that the server is up and reachable, and then try again: finished work is recorded and isn't repeated.",
    });
}

/** Happy Eyeballs throws an AggregateError with an empty message: its parts say what happened. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
