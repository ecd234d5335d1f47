const UNITS: Record<string, number> = {
  ms: 1,
  s: 1_000,
  sec: 1_000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
};

/** What PostgreSQL can hold: its time-outs are 32-bit ms. */
const LONGEST = 2_147_483_647;

/** How a duration is written, for messages. */
export const DURATION_FORM =
  'a duration like 500ms, 5s, 2min, or 1h, a number of milliseconds, or 0 for none';

/** A time in ms; undefined when it is none. */
export function parseDuration(value: Duration): number | undefined {
  const ms = typeof value === 'number' ? value : fromText(value.trim());
  return ms !== undefined && Number.isFinite(ms) && ms >= 0 && ms <= LONGEST ? Math.round(ms) : undefined;
}

function fromText(text: string): number | undefined {
  const [, amount, unit = 'ms'] = /^(\d+(?:\.\d+)?) ?([a-z]+)?$/.exec(text) ?? [];
  const factor = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined;
  return amount === undefined || factor === undefined ? undefined : Number(amount) * factor;
}

/** `2 s`, `1.5 s`, `500 ms`. */
export function durationText(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`;
}

/** Times in ms; 0 means none. */
export interface Pace {
  concurrency?: number;
  lockTimeout: number;
  statementTimeout: number;
  idleInTransactionTimeout: number;
  lockWait: number;
  retries: number;
  connectTimeout: number;
}

/** A time: a number of ms, or text like `500ms`, `5s`, `2min`. `0` means none. */
export type Duration = number | string;
