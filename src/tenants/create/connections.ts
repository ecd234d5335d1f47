import { type Central, centralOn, openCentral } from '../../central/central.ts';
import type { Config } from '../../config/define.ts';
import type { Connection } from '../../postgres/connection.ts';
import { forFleet, type TenantSources, readTenantSources } from './tenant-sources.ts';
import { connectLock } from '../lock.ts';
import { connectServer } from '../server.ts';

/** What a creation works with. */
export interface CreationConnections {
  central: Central;
  /** To the new tenant's server. */
  server: Connection;
  /** To the central database, for the tenant's lock; needed later than the others. */
  lock: Promise<Connection>;
  sources: TenantSources;
}

type Connections = Record<'central' | 'server' | 'lock', Connection>;

/**
 * The connections of a creation that has ended, kept for the next one: a new session meets everything that
 * CREATE DATABASE touches for the first time. Who comes while they are in use opens others.
 */
export class ConnectionCache {
  readonly #kept = new Map<string, { connections: Connections; timer: NodeJS.Timeout }>();
  readonly #idleTimeout: number;
  #closed = false;

  /** @param idleTimeout ms after which they are closed if no other creation came */
  constructor(idleTimeout: number) {
    this.#idleTimeout = idleTimeout;
  }

  take(server: string): Connections | undefined {
    const kept = this.#kept.get(server);
    if (!kept) return undefined;
    this.#kept.delete(server);
    clearTimeout(kept.timer);
    for (const connection of Object.values(kept.connections)) connection.keepAlive(true);
    return kept.connections;
  }

  /** @returns false when they are not taken: then they are the caller's to close */
  keep(name: string, connections: Connections): boolean {
    const usable = Object.values(connections).every(
      ({ lost, transaction }) => !lost && transaction === 'idle',
    );
    // A session in template1 keeps everybody else from creating a database.
    const inTheWay = connections.server.database === 'template1';
    if (this.#closed || this.#kept.has(name) || !usable || inTheWay) return false;
    const timer = setTimeout(() => void this.#close(name), this.#idleTimeout).unref();
    this.#kept.set(name, { connections, timer });
    // A script that never closes its fleet ends all the same.
    for (const connection of Object.values(connections)) connection.keepAlive(false);
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#kept.keys()].map((name) => this.#close(name)));
  }

  async #close(name: string): Promise<void> {
    await Promise.all(Object.values(this.take(name) ?? {}).map((connection) => connection.close()));
  }
}

/** What is to be seen of the server before anything is begun. */
type InspectServer<S> = (
  server: Connection,
  files: Promise<TenantSources>,
  central: Promise<Central>,
) => Promise<S>;

/**
 * Runs `use` with the connections of a creation: those that are kept, or new ones, which are opened at once, while
 * the files are read.
 * @throws MpmError of files, of the central database, of the server
 */
export async function withCreationConnections<S, T>(
  config: Config,
  name: string,
  { look, idle }: { look: InspectServer<S>; idle?: ConnectionCache | undefined },
  use: (opened: CreationConnections, seen: S) => Promise<T>,
): Promise<T> {
  const kept = idle?.take(name);
  // Some of them may have died in the meantime: then nothing was begun, and new ones say what is the matter.
  const again = kept && (await begin(reuse(kept, config), look).catch(() => undefined));
  const { opened, seen } = again ?? (await begin(open(config, name), look));
  let done = false;
  try {
    const result = await use(opened, seen);
    done = true;
    return result;
  } finally {
    const lock = await opened.lock.catch(() => undefined);
    const { connection: central } = opened.central;
    const keeps = done && lock && idle?.keep(name, { central, server: opened.server, lock });
    if (!keeps) for (const connection of [central, opened.server, lock]) connection?.leave();
  }
}

interface Opening {
  central: Promise<Central>;
  server: Promise<Connection>;
  lock: Promise<Connection>;
  /** Called once the others are on their way: reading files keeps us from sending anything. */
  read(): Promise<TenantSources>;
}

function open(config: Config, name: string): Opening {
  const central = openCentral(config);
  const server = connectServer(config, name);
  const lock = central.then(() => connectLock(config, 'creation'));
  return { central, server, lock, read: () => readTenantSources(config) };
}

function reuse({ central, server, lock }: Connections, config: Config): Opening {
  return {
    central: centralOn(central, config),
    server: Promise.resolve(server),
    lock: Promise.resolve(lock),
    read: () => readTenantSources(config, { recall: true }),
  };
}

async function begin<S>(
  { central, server, lock, read }: Opening,
  look: InspectServer<S>,
): Promise<{ opened: CreationConnections; seen: S }> {
  const seeing = server.then((connection) => look(connection, files, central));
  const files = Promise.all([Promise.resolve().then(read), central]).then(([sources, { config }]) =>
    forFleet(sources, config),
  );
  const connections = [central.then(({ connection }) => connection), server, lock];
  const settled = Promise.allSettled([...connections, files, seeing]);
  try {
    const opened = { sources: await files, central: await central, server: await server, lock };
    return { opened, seen: await seeing };
  } catch (error) {
    await settled;
    for (const connection of connections) (await connection.catch(() => undefined))?.leave();
    throw error;
  }
}
