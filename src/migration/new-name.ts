import { MpmError } from '../errors.ts';
import { compareVersions } from './name.ts';

/**
 * The slug of a new migration: spaces become underscores.
 * @throws MpmError MIGRATION_NAME
 */
export function slugOf(name: string): string {
  const refuse = (why: string, hint: string) =>
    new MpmError('MIGRATION_NAME', `${JSON.stringify(name)} cannot be a migration's name: ${why}`, {
      subject: name,
      hint,
    });
  const slug = name.trim().replace(/\s+/g, '_');
  const example = 'For instance: mpm-migrate create add_meter_status';
  if (slug === '') throw refuse('it is empty', example);
  if (/[/\\]/.test(slug) || slug.includes('..')) {
    throw refuse(
      'it holds a path',
      `Give the name alone; --central and --tenant 42 choose the folder. ${example}`,
    );
  }
  if (/\.(?:sql|[mc]?[jt]s)$/i.test(slug))
    throw refuse('it has an extension', 'Leave it away; --sql makes a SQL file.');
  if (!/^[A-Za-z0-9_-]+$/.test(slug)) throw refuse('it takes letters, digits, _ and - only', example);
  if (slug.length > 100) throw refuse('it is longer than 100 characters', 'Say it shorter.');
  return slug;
}

/**
 * The version of a new migration: the time in UTC as YYYYMMDDHHMMSS; where the folder is already at or past it,
 * what follows its last one, for the new migration must be the last.
 * @param elsewhere versions of folders that it may meet in a tenant: it need not be past them, but none of them
 */
export function nextVersion(taken: readonly string[], now: Date, elsewhere: readonly string[] = []): string {
  let version = following(taken.reduce(later, '0'), now);
  while (elsewhere.some((other) => compareVersions(other, version) === 0)) version = following(version, now);
  return version;
}

function later(a: string, b: string): string {
  return compareVersions(a, b) > 0 ? a : b;
}

function following(last: string, now: Date): string {
  const current = stamp(now);
  if (compareVersions(current, last) > 0) return current;
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(last)?.map(Number) ?? [];
  if (year !== undefined && month !== undefined) {
    const next = stamp(new Date(Date.UTC(year, month - 1, day, hour, minute, (second ?? 0) + 1)));
    if (compareVersions(next, last) > 0) return next;
  }
  return String(BigInt(last) + 1n).padStart(last.length, '0');
}

function stamp(time: Date): string {
  return time.toISOString().replace(/\D/g, '').slice(0, 14);
}
