import { MpmError } from '../../errors.ts';
import { type Lead, type Order, compareNames, compareVersions, leadOf, versionKey } from './name.ts';

/** What a new name goes by. */
export interface NameSource {
  /** The names in the folder, in their order: the new one is the last. */
  names: readonly string[];
  /** Names in folders that it may meet in a tenant: it need not be behind them, but none has its version. */
  elsewhere?: readonly string[];
  order: Order;
  now: Date;
}

/**
 * The name of a new migration, in the form of the folder's last one: the next number, or now as a date is written there,
 * or a moment later than the last one; in an empty folder YYYYMMDDHHMMSS_slug, UTC.
 * @throws MpmError MIGRATION_NAME where no name in that form would be the last one
 */
export function nextName(slug: string, { names, elsewhere = [], order, now }: NameSource): string {
  const last = names.at(-1) ?? '';
  const folder = last.slice(0, last.lastIndexOf('/') + 1);
  const lead = leadOf(last.slice(folder.length)) ?? (names.length ? undefined : USUAL);
  if (!lead) return requireLast(`${folder}${slug}`, last, order);
  const there = new Set(elsewhere.map(versionKey));
  let next = current(lead, now);
  const name = () => `${folder}${next.text}${next.separator}${slug}`;
  // Of one day there may be several, in the order of their slugs.
  const isDay = lead.kind === 'date' && lead.text.replace(/\D/g, '').length === 8;
  const isBehind = isDay ? compareNames(name(), last, order) > 0 : compareVersions(name(), last) > 0;
  if (names.length && !isBehind) next = following(lead);
  while (there.has(versionKey(name()))) next = following(next);
  return requireLast(name(), last, order);
}

function requireLast(name: string, last: string, order: Order): string {
  if (last === '' || compareNames(name, last, order) > 0) return name;
  throw new MpmError('MIGRATION_NAME', `${name} would not be the last migration: ${last} is behind it`, {
    subject: name,
    hint:
      order === 'version'
        ? 'The names in this folder have no numbers: choose one that comes behind the last in the order of the alphabet.'
        : `migrations.order is '${order}'. Write the file yourself, with a name that comes behind the last one.`,
  });
}

const USUAL: Lead = { kind: 'date', text: '20000101000000', separator: '_' };

/** The lead for now; of a number, the next one. */
function current(lead: Lead, now: Date): Lead {
  if (lead.kind === 'date') return dated(lead, digitsOf(now));
  // Seconds or milliseconds since 1970.
  const epoch = /^1\d{9}$/.test(lead.text) ? 1000 : /^1\d{12}$/.test(lead.text) ? 1 : undefined;
  return epoch === undefined ? following(lead) : { ...lead, text: String(Math.floor(now.getTime() / epoch)) };
}

/** The lead behind one: the next number, or a second later, or a day where there is no time in it. */
function following(lead: Lead): Lead {
  if (lead.kind !== 'date') {
    // Of Flyway's, the last part.
    const text = lead.text.replace(/\d+$/, (digits) =>
      String(BigInt(digits) + 1n).padStart(digits.length, '0'),
    );
    return { ...lead, text };
  }
  const digits = lead.text.replace(/\D/g, '');
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0, ms = 0] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})/.exec(digits.padEnd(17, '0'))?.slice(1).map(Number) ?? [];
  const step = digits.length >= 14 ? 1000 : digits.length >= 12 ? 60_000 : 86_400_000;
  const next = dated(
    lead,
    digitsOf(new Date(Date.UTC(year, month - 1, day, hour, minute, second, ms) + step)),
  );
  // A month 14, as some have it, is none of the calendar's.
  return compareVersions(next.text, lead.text) > 0
    ? next
    : dated(lead, String(BigInt(digits) + 1n).padStart(digits.length, '0'));
}

/** YYYYMMDDHHMMSSmmm */
function digitsOf(time: Date): string {
  return time.toISOString().replace(/\D/g, '');
}

/** The date's digits in the places of those that are there. */
function dated(lead: Lead, digits: string): Lead {
  let at = 0;
  return { ...lead, text: lead.text.replace(/\d/g, () => digits[at++] ?? '0') };
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
