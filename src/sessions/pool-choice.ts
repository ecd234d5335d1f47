/** How many connections may be open, and how long is waited for one. Times in ms. */
export interface PoolLimits {
  /** Of this process, to all servers. */
  connections: number;
  /** To one database. */
  perDatabase: number;
  /** To one server. */
  ofServer(server: string): number;
  /** How long a caller waits for a connection before it gets SESSION_TIMEOUT. */
  waitTimeout: number;
  /** After so long without use a connection is closed. */
  idleTimeout: number;
}

/** The connections of a pool as they are now. */
export interface PoolStats {
  /** The most that may be open. */
  connections: number;
  /** Open now, those included that are being opened or closed. */
  open: number;
  inUse: number;
  idle: number;
  /** Databases with an open connection. */
  databases: number;
  /** Callers who wait for a connection. */
  waiting: number;
  /** Since the start: connections opened, and those closed to make room for another database. */
  opened: number;
  evicted: number;
  /** The most that were open at once. */
  peak: number;
  /** Of each server: the most that may be open, and what is open now. */
  servers: Record<string, { connections: number; open: number }>;
}

/** What decides about somebody who waits for a connection. */
export interface Situation {
  waitedMs: number;
  /** Open, opening and closing ones; those that are closing count until they are closed. */
  ofDatabase: number;
  ofServer: number;
  inAll: number;
}

/**
 * `open`: there is room. `evict`: there is none, and an idle connection of another database has to go, of the
 * same server only if that is what is full. `yield`: the same, and if none is idle, the next that comes free.
 * `wait`: a connection of its own database comes free sooner than another could be opened.
 */
export type Choice = { do: 'open' } | { do: 'wait' } | { do: 'evict' | 'yield'; from: 'server' | 'anywhere' };

/**
 * So long somebody waits for a connection of the same database to come free before an idle one of another has
 * to go, in ms: a query is over in a fiftieth of the time that a new connection takes.
 */
export const PATIENCE = 250;

/** So long a connection that was given back is taken for one that is in use, in ms: the next query may follow. */
const PAUSE = 25;

/** A connection is kept for so many times as long as it takes to open one, while others wait for its place. */
const WORTH = 10;

/**
 * How long a connection that is in use all the time stays with its database while others have none, in ms.
 * @param openMs how long it takes to open one
 */
export function tenureOf(openMs: number, { waitTimeout }: Pick<PoolLimits, 'waitTimeout'>): number {
  return Math.min(Math.max(PATIENCE, WORTH * openMs), waitTimeout / 8);
}

/** May a connection be closed for the sake of another database? It is never closed while it is lent. */
export function mayGo({ idleMs, ageMs }: { idleMs: number; ageMs: number }, tenure: number): boolean {
  return idleMs >= PAUSE || ageMs >= tenure;
}

/** What to do for somebody who waits, when no connection of its database is idle. */
export function choose(
  { waitedMs, ofDatabase, ofServer, inAll }: Situation,
  limits: Pick<PoolLimits, 'connections' | 'perDatabase'> & { server: number },
): Choice {
  if (ofDatabase >= limits.perDatabase) return { do: 'wait' };
  const serverFull = ofServer >= limits.server;
  if (!serverFull && inAll < limits.connections) return { do: 'open' };
  const hasOne = ofDatabase > 0;
  if (hasOne && waitedMs < PATIENCE) return { do: 'wait' };
  // Nobody gets a second connection at the cost of one that is in use.
  return { do: hasOne ? 'evict' : 'yield', from: serverFull ? 'server' : 'anywhere' };
}
