/** PostgreSQL's table locks, the weakest first, as `LOCK TABLE` and pg_locks (without spaces, and with Lock) name them. */
export const LOCK_MODES = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;

export type LockMode = (typeof LOCK_MODES)[number];

/** Whether a mode is at least as strong as another one. */
export function isAtLeast(mode: LockMode, other: LockMode): boolean {
  return LOCK_MODES.indexOf(mode) >= LOCK_MODES.indexOf(other);
}

export function stronger(one: LockMode, other: LockMode): LockMode {
  return isAtLeast(one, other) ? one : other;
}

/** The mode of a `LOCK TABLE`, as the parser numbers it. */
export function lockModeOf(number: number): LockMode {
  return LOCK_MODES[number - 1] ?? 'ACCESS EXCLUSIVE';
}

/** What of an application waits while a table is locked so; undefined: neither a query nor a change of rows does. */
export function blockedBy(mode: LockMode): string | undefined {
  switch (mode) {
    case 'ACCESS EXCLUSIVE':
      return 'reads and writes';
    case 'EXCLUSIVE':
      return 'writes and row locks';
    case 'SHARE ROW EXCLUSIVE':
    case 'SHARE':
      return 'writes';
    default:
      return undefined;
  }
}
