import { type Central, withCentral } from '../../central/central.ts';
import { rightsOf } from '../../central/make.ts';
import {
  announcePooled,
  forgetPooled,
  markReady,
  type PoolRow,
  readPool,
  withdraw,
} from '../../central/pool.ts';
import type { Config } from '../../config/define.ts';
import { MpmError, stopIfAborted } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { identifier } from '../../postgres/quote.ts';
import { createDatabase, dropDatabase, endOwnSessions, findDatabases } from '../../postgres/database.ts';
import { applyDatabaseSettings, type DatabaseSettings } from '../../postgres/database-settings.ts';
import { waitForDatabases } from '../../postgres/active-databases.ts';
import { shellWord } from '../../shell-word.ts';
import {
  type TenantSources,
  CHANGED_MEANWHILE,
  forFleet,
  readTenantSources,
  sharesNothing,
} from './tenant-sources.ts';
import { createFrom, newPoolName } from './build.ts';
import type { ChangeOptions } from '../change.ts';
import { migrateAndSeed, type MigrateAndSeedOptions } from './migrate-and-seed.ts';
import { withServerLock } from '../lock.ts';
import { requireBuiltIn } from './provision.ts';
import { serverOf, withNewDatabase, withServer } from '../server.ts';
import { ensureTemplate } from './template.ts';

/** One server's pool. */
export interface PoolStatus {
  server: string;
  /** Can be handed out. */
  ready: number;
  /** Made from files that have changed since: the next `fill` replaces them. */
  stale: number;
  /** In work, or left by a fill or a drain that was killed: the next one clears them away. */
  unfinished: number;
}

export interface PoolReport extends PoolStatus {
  made: number;
  dropped: number;
  notices: string[];
  /** The files that they were made of were changed in the meantime: they are stale. */
  filesChanged?: boolean;
  durationMs: number;
}

/**
 * Makes finished databases until `size` of them are ready, and drops what is stale or was left half-made.
 * @throws MpmError USAGE, UNKNOWN_SERVER, BUSY when another process fills or drains it, errors of migrations
 */
export async function fillPool(
  config: Config,
  { size, server = 'default' }: { size: number; server?: string },
  options: MigrateAndSeedOptions = {},
): Promise<PoolReport> {
  if (!Number.isInteger(size) || size < 0 || size > 1000) {
    throw new MpmError('USAGE', `a pool of ${size} databases cannot be kept`, {
      hint: 'Give a whole number from 0 to 1000: mpm-migrate tenant pool fill --size 5',
    });
  }
  const sources = await readTenantSources(config);
  const fill = async (pool: PoolCreation): Promise<void> => {
    const fit = await fitOnes(pool.connection, await readPool(pool.central, server));
    await clear(
      pool,
      (row) => row.state !== 'ready' || row.blueprint !== pool.sources.key || !fit.has(row.id),
    );
    const ready = (await readPool(pool.central, server)).length;
    for (let left = size - ready; left > 0 && !options.signal?.aborted; left -= 1) await add(pool, options);
    if (pool.made > 0 && !sources.isStill()) {
      const where = server === 'default' ? '' : ` --server ${shellWord(server)}`;
      pool.notices.push(`${CHANGED_MEANWHILE}: mpm-migrate tenant pool fill --size ${size}${where}`);
    }
  };
  return atWork(config, server, sources, fill, options.signal);
}

/** Drops all databases of a server's pool. @throws MpmError USAGE, UNKNOWN_SERVER, BUSY */
export async function drainPool(
  config: Config,
  { server = 'default' }: { server?: string } = {},
  { signal }: ChangeOptions = {},
): Promise<PoolReport> {
  const sources = await readTenantSources(config);
  return atWork(config, server, sources, (pool) => clear(pool, () => !signal?.aborted), signal);
}

/** Looks at the pools of all servers, or of one; changes nothing. */
export async function poolStatus(
  config: Config,
  server?: string,
  { signal }: ChangeOptions = {},
): Promise<PoolStatus[]> {
  stopIfAborted(signal);
  requireBuiltIn(config);
  if (server !== undefined) serverOf(config, server);
  const sources = await readTenantSources(config);
  return withCentral(config, async (central) => {
    const { key } = forFleet(sources, central.config);
    const rows = await readPool(central, server);
    const names = server === undefined ? Object.keys(config.servers) : [server];
    // A server that is no longer configured may still have some.
    const all = new Set([...names, ...rows.map((row) => row.server)]);
    return [...all].map((each) => statusOf(each, rows, key));
  });
}

interface PoolCreation {
  central: Central;
  server: string;
  connection: Connection;
  sources: TenantSources;
  made: number;
  dropped: number;
  notices: string[];
}

async function atWork(
  config: Config,
  server: string,
  sources: TenantSources,
  work: (pool: PoolCreation) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<PoolReport> {
  stopIfAborted(signal);
  requireBuiltIn(config);
  serverOf(config, server);
  const started = Date.now();
  return withServerLock(config, { what: 'pool', server, wait: config.pace.lockWait }, () =>
    withCentral(config, (central) =>
      withServer(config, server, async (connection) => {
        const pool: PoolCreation = {
          central,
          server,
          connection,
          sources: forFleet(sources, central.config),
          made: 0,
          dropped: 0,
          notices: [],
        };
        await work(pool);
        const status = statusOf(server, await readPool(central, server), pool.sources.key);
        const { made, dropped, notices } = pool;
        const changed = made > 0 && !sources.isStill() ? { filesChanged: true } : {};
        return { ...status, made, dropped, notices, ...changed, durationMs: Date.now() - started };
      }),
    ),
  );
}

/** Of the pool's databases, those that are there and that the server works with as when they were made. */
async function fitOnes(connection: Connection, rows: readonly PoolRow[]): Promise<Set<string>> {
  const there = await findDatabases(
    connection,
    rows.map(({ database }) => database),
  );
  const fit = new Set(there.filter(({ unfit }) => unfit === null).map(({ oid }) => oid));
  return new Set(rows.filter(({ oid }) => oid !== null && fit.has(oid)).map(({ id }) => id));
}

function statusOf(server: string, rows: readonly PoolRow[], key: string): PoolStatus {
  const own = rows.filter((row) => row.server === server);
  const whole = own.filter(({ state }) => state === 'ready');
  const ready = whole.filter(({ blueprint }) => blueprint === key).length;
  return { server, ready, stale: whole.length - ready, unfinished: own.length - whole.length };
}

/** A database's row is there before it and after it: so a kill leaves none that nobody knows of. */
async function clear(pool: PoolCreation, which: (row: PoolRow) => boolean): Promise<void> {
  const { central, server, connection } = pool;
  for (const row of await readPool(central, server)) {
    if (!which(row)) continue;
    // A registration that took it was faster, and it is a tenant's now.
    if (!(await withdraw(central, row.id))) continue;
    await waitForDatabases(connection, [row.database]);
    await dropDatabase(connection, row.database, { disconnect: true });
    await forgetPooled(central, row.id);
    pool.dropped += 1;
  }
}

async function add(pool: PoolCreation, options: MigrateAndSeedOptions): Promise<void> {
  const { central, server, connection, sources } = pool;
  const { config } = central;
  const rights = rightsOf(config);
  let template = await ensureTemplate(config, server, { connection, sources }, options);
  const database = newPoolName();
  pool.notices.push(...(template.notices ?? []));
  const id = await announcePooled(central, { server, database, blueprint: sources.key });
  try {
    let settings: DatabaseSettings | undefined;
    if (template.name === undefined) await createDatabase(connection, database, rights);
    else {
      const onNoTemplate = (why: string) => void (template = { why });
      const like = {
        template: template.name,
        settings: template.settings,
        base: rights.template,
        onNoTemplate,
      };
      settings = await createFrom(connection, database, { ...rights, ...like });
    }
    if (template.name === undefined) {
      const notice = `made without a template: ${template.why}`;
      const meant = config.templates && !sharesNothing(sources);
      if (meant && !pool.notices.includes(notice)) pool.notices.push(notice);
      const newDatabase = { server, database, purpose: 'pool' };
      await migrateAndSeed(config, newDatabase, sources.shared, options);
    } else {
      // The first session in a database writes what the later ones start from (`pg_internal.init`).
      await withNewDatabase(config, { server, database, purpose: 'pool' }, () => Promise.resolve());
    }
    await endOwnSessions(connection, database);
    // Closed until it is handed out, so that nobody is in it when it gets its name.
    const close = `alter database ${identifier(database)} with allow_connections false`;
    await connection.query(
      [...(settings ? applyDatabaseSettings(database, settings) : []), close].join(';\n'),
    );
    const [made] = await findDatabases(connection, [database]);
    if (!made) throw new MpmError('DATABASE_MISSING', `the new database "${database}" is gone`);
    await markReady(central, id, made.oid);
    pool.made += 1;
  } catch (error) {
    await clear(pool, (row) => row.id === id).catch(() => undefined);
    throw error;
  }
}
