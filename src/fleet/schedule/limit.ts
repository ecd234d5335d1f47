import { MpmError } from '../../errors.ts';
import { SQLSTATE, sqlstateOf } from '../../postgres/sqlstate.ts';

/** How many tenants of one server are in work at once; moves with what the server says (fleet 3). */
export interface Limit {
  /** Rounded down to be used: slow growth needs the fractions. */
  allowed: number;
  /** Never above this. */
  ceiling: number;
}

/** Connections of a server: what it allows, what it keeps for itself, what is in use. */
export interface Headroom {
  max: number;
  reserved: number;
  used: number;
}

const MOST = 32;

/** The number of lanes a server gets when nobody said: a quarter of what is free, 1 to 32. */
export function defaultConcurrency({ max, reserved, used }: Headroom): number {
  const free = max - reserved - used;
  return Math.min(MOST, Math.max(1, Math.floor(free / 4)));
}

export function limitOf(ceiling: number): Limit {
  const whole = Math.max(1, Math.floor(ceiling));
  return { allowed: whole, ceiling: whole };
}

export function halved(limit: Limit): Limit {
  return { ...limit, allowed: Math.max(1, Math.floor(limit.allowed / 2)) };
}

/** One more lane for a whole round of successes. */
export function raised(limit: Limit): Limit {
  return { ...limit, allowed: Math.min(limit.ceiling, limit.allowed + 1 / limit.allowed) };
}

/** `full`: the server has no connection left. `unreachable`: it does not answer at all. */
export type Pressure = 'full' | 'unreachable';

const NETWORK =
  /^(ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EHOSTDOWN|ENOTFOUND|EAI_AGAIN|ENOENT)$/;

/** What a tenant's error says about its server as a whole; undefined when it is the tenant's own trouble. */
export function pressureOf(error: MpmError | undefined): Pressure | undefined {
  if (!error) return undefined;
  const sqlstate = error.database?.code ?? sqlstateOf(error);
  if (sqlstate === SQLSTATE.tooManyConnections) return 'full';
  if (error.code !== 'CONNECTION') return undefined;
  return sqlstate === SQLSTATE.cannotConnectNow || isNetworkTrouble(error.cause) ? 'unreachable' : undefined;
}

function isNetworkTrouble(cause: unknown): boolean {
  if (cause instanceof AggregateError) return cause.errors.some(isNetworkTrouble);
  if (!(cause instanceof Error)) return false;
  const code = 'code' in cause ? String(cause.code) : '';
  return NETWORK.test(code) || /timeout/i.test(cause.message) || isNetworkTrouble(cause.cause);
}

/**
 * How many failures end a run: a number, or a share of all like `2%`; at least one.
 * @throws MpmError USAGE
 */
export function failureBudget(limit: number | string | undefined, total: number): number {
  return limit === undefined ? Infinity : amountOf('--max-failures', limit, total);
}

/**
 * A number of tenants, or a share of all like `2%`; at least one.
 * @throws MpmError USAGE naming the flag
 */
export function amountOf(flag: string, amount: number | string, total: number): number {
  const [, number = '', percent] = /^(\d+(?:\.\d+)?)(%)?$/.exec(String(amount)) ?? [];
  const most = percent ? (total * Number(number)) / 100 : Number(number);
  const fits = percent ? Number(number) <= 100 : most >= 1 && Number.isInteger(most);
  if (number !== '' && fits) return Math.max(1, Math.ceil(most));
  throw new MpmError('USAGE', `${flag} ${amount}: must be a number, 1 or more, or a percentage`, {
    hint: `For instance: ${flag} 25, or ${flag} 2%`,
  });
}
