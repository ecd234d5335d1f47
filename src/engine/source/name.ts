import { MpmError } from '../../errors.ts';
const EXTENSIONS = /\.(?:up\.sql|down\.sql|sql|d\.ts|ts|mts|cts|js|mjs|cjs)$/;

/** A migration's file name taken apart. */
export interface FileName {
  /** Name without extension: the identity of a migration. */
  name: string;
  version: string;
  slug: string;
  extension: 'sql' | 'up.sql' | 'down.sql' | 'ts' | 'mts' | 'cts' | 'js' | 'mjs' | 'cjs' | 'd.ts';
}

/** Takes a file name apart; undefined when it is no migration's (no numeric prefix, another extension). */
export function parseFileName(file: string): FileName | undefined {
  const extension = EXTENSIONS.exec(file)?.[0];
  if (!extension) return undefined;
  const name = file.slice(0, -extension.length);
  const prefix = /^\d+/.exec(name)?.[0];
  if (!prefix) return undefined;
  const slug = name.slice(prefix.length).replace(/^[_-]+/, '');
  return { name, version: prefix, slug, extension: extension.slice(1) as FileName['extension'] };
}

/** The order of migrations: the numeric prefix as a number, then code units; never a locale. */
export function compareNames(a: string, b: string): number {
  return compareVersions(versionOf(a), versionOf(b)) || (a < b ? -1 : a > b ? 1 : 0);
}

/** Numeric prefixes compared as numbers of any length: `9` < `10`, `007` = `7`. */
export function compareVersions(a: string, b: string): number {
  const x = a.replace(/^0+/, '');
  const y = b.replace(/^0+/, '');
  return x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
}

export function versionOf(name: string): string {
  return /^\d+/.exec(name)?.[0] ?? '';
}

/**
 * The slug of a new migration: spaces become underscores.
 * @throws MpmError MIGRATION_NAME
 */
export function slugOf(name: string): string {
  const refuse = (why: string, hint: string) =>
    new MpmError('MIGRATION_NAME', `${JSON.stringify(name)} can't be a migration's name: ${why}`, {
      subject: name,
      hint,
    });
  const slug = name.trim().replace(/\s+/g, '_');
  const example = 'For example: mpm-migrate create add_meter_status';
  if (slug === '') throw refuse('it is empty', example);
  if (/[/\\]/.test(slug) || slug.includes('..')) {
    throw refuse(
      'it contains a path',
      `Use only the name; --central and --tenant 42 choose the folder. ${example}`,
    );
  }
  if (/\.(?:sql|[mc]?[jt]s)$/i.test(slug))
    throw refuse('it has an extension', 'Omit it; --sql creates a SQL file.');
  if (!/^[A-Za-z0-9_-]+$/.test(slug)) throw refuse('use only letters, digits, _, and -', example);
  if (slug.length > 100) throw refuse('it is longer than 100 characters', 'Use a shorter name.');
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
