const EXTENSIONS = /\.(?:up\.sql|down\.sql|sql|d\.ts|ts|mts|cts|js|mjs|cjs)$/;

/** A migration's file name taken apart. */
export interface FileName {
  /** Name without extension: the identity of a migration. */
  name: string;
  /** As {@link versionOf} says it. */
  version: string;
  slug: string;
  extension: 'sql' | 'up.sql' | 'down.sql' | 'ts' | 'mts' | 'cts' | 'js' | 'mjs' | 'cjs' | 'd.ts';
}

/** Takes a file name apart; undefined when it has another extension than a migration's. */
export function parseFileName(file: string): FileName | undefined {
  const extension = EXTENSIONS.exec(file)?.[0];
  if (!extension) return undefined;
  const name = file.slice(0, -extension.length);
  const { version, slug } = partsOf(name);
  return { name, version, slug, extension: extension.slice(1) as FileName['extension'] };
}

/**
 * What names are ordered by. `version`: their versions, then their slugs. `text`: code units. `kysely`: as Kysely's
 * migrator runs them, which is by code units as well; the `localeCompare` that its documentation names only tells which of
 * two rows of one time is the older.
 */
export type Order = 'version' | 'kysely' | 'text';

/** How names make an order, as the configuration says (`migrations` in it). */
export interface Naming {
  order: Order;
  /** Names that may share a version. */
  sameVersion: readonly string[];
  /** Names that are migrations although they have no number and others in the folder have one. */
  unnumbered: readonly string[];
}

/** What holds when the configuration says nothing. */
export const USUAL_NAMING: Naming = { order: 'version', sameVersion: [], unnumbered: [] };

/**
 * The order of migrations, of which there is one for each configuration; names that are not the same are never equal.
 * A version is what the name says and nothing else: names without one come first, then all numbers, then all dates.
 */
export function compareNames(a: string, b: string, order: Order): number {
  if (order !== 'version') return compareText(a, b);
  const [one, other] = [partsOf(a), partsOf(b)];
  return (
    compareComponents(one.components, other.components) ||
    compareSlugs(one.slug, other.slug) ||
    compareText(a, b)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * A name's version: of a number its digits as written (`0042`), of a date its digits without separators
 * (`20230330223252`), of more than one number these with dots (`1.2`); empty without one.
 */
export function versionOf(name: string): string {
  return partsOf(name).version;
}

/** What a name says behind its version. */
export function slugBehind(name: string): string {
  return partsOf(name).slug;
}

/** Equal for names of equal versions: `007_a` and `7_b`, `2023-03-30_a` and `20230330000000_b`. Empty without one. */
export function versionKey(name: string): string {
  return keyOf(partsOf(name).components);
}

/** Whether the name's version is one of Flyway's, which knows no two that are equal. */
export function isFlyway(name: string): boolean {
  return FLYWAY.test(name);
}

/** What a name begins with before its slug. */
export interface Lead {
  kind: 'flyway' | 'date' | 'number';
  /** As it is written, with what is before it: `V1_2`, `2014_10_12_000000`, `0042`. */
  text: string;
  /** What stands between it and the slug. */
  separator: string;
}

/** How a name, or its last part where it is in a folder, begins; undefined where it has no version. */
export function leadOf(name: string): Lead | undefined {
  const flyway = FLYWAY.exec(name)?.[1];
  if (flyway !== undefined) return { kind: 'flyway', text: `V${flyway}`, separator: '__' };
  const date = dateOf(name);
  const length = date?.length ?? /^\d+/.exec(name)?.[0].length;
  if (length === undefined) return undefined;
  const separator = /^[_-]*/.exec(name.slice(length))?.[0] || '_';
  return { kind: date ? 'date' : 'number', text: name.slice(0, length), separator };
}

/** How many digits the name's version has, without zeros in front; of more than one number, the last of them. */
export function digitsOf(name: string): number {
  const last = partsOf(name).components.at(-1);
  return last === undefined ? 0 : last.date ? Math.max(last.digits.length, 8) : last.digits.length;
}

/**
 * Whether a person who types this means that migration: its name, or its version as it is written in one way or another
 * (`42`, `1.2`, `V1_2`, `2023-03-30-223252`, `20230330223252`).
 */
export function isCalled(name: string, typed: string): boolean {
  return name === typed || compareToVersion(name, typed) === 0;
}

/**
 * How a name's version compares with one that was typed, or that another tool recorded; undefined when that is none, or
 * the name has none.
 */
export function compareToVersion(name: string, typed: string): number | undefined {
  const { components } = partsOf(name);
  const readings = readingsOf(typed);
  if (!components.length || !readings.length) return undefined;
  const compared = readings.map((reading) => compareComponents(components, reading));
  return compared.includes(0) ? 0 : compared[0];
}

/** The versions that a typed one may mean, each as {@link versionOf} writes it, but for zeros at either end. */
export function versionsMeant(typed: string): string[] {
  return [...new Set(readingsOf(typed).map(textOf))];
}

/** What a typed version may mean: digits are a date's to us, and a number's to Flyway. */
function readingsOf(typed: string): readonly (readonly Component[])[] {
  const numbers = /^V?(\d+(?:[._/]\d+)*)$/.exec(typed)?.[1];
  const written = partsOf(typed);
  const whole = written.components.length > 0 && written.slug === '' && !isFlyway(typed);
  const readings: (readonly Component[])[] = whole ? [written.components] : [];
  if (numbers !== undefined) readings.push(numbers.split(/[._/]/).map(numberOf));
  return readings;
}

/** A part of a version: a number without zeros in front, or a date's digits without zeros at the end. */
interface Component {
  date: boolean;
  digits: string;
}

interface Parts {
  components: readonly Component[];
  version: string;
  slug: string;
}

const known = new Map<string, Parts>();

const KNOWN_MOST = 20_000;

/** A name taken apart; remembered, because each comparison of a sort asks for it. */
function partsOf(name: string): Parts {
  let parts = known.get(name);
  if (!parts) {
    if (known.size >= KNOWN_MOST) known.clear();
    known.set(name, (parts = takeApart(name)));
  }
  return parts;
}

const FLYWAY = /^V(\d+(?:[._]\d+)*)__(.*)$/s;

/** Year, month and day, with separators; whether the calendar has that day is not asked. */
const DASHED = /^_?(\d{4})([-_.])(\d\d)\2(\d\d)(?!\d)/;

/** The same without separators, and up to the millisecond. */
const PLAIN = /^_?((?:19|20)(?:\d{6}|\d{10}|\d{12}|\d{15}))(?!\d)/;

/** The time of day behind it: in one group, or in two or more of two digits each. */
const TIME = /^[-_.T](\d{4,9}|\d\d(?:[-_.:]\d\d){1,2}(?:[-_.]\d{3,6})?)Z?(?![0-9A-Za-z])/;

function takeApart(name: string): Parts {
  const flyway = FLYWAY.exec(name);
  if (flyway) {
    const numbers = (flyway[1] ?? '').split(/[._]/).map(numberOf);
    return { components: numbers, version: textOf(numbers), slug: flyway[2] ?? '' };
  }
  const segments = name.split('/').map(ofSegment);
  const [only] = segments;
  if (only && segments.length === 1) return only;
  // In a folder: of both, and where one of them has none, of neither.
  if (!segments.every(({ components }) => components.length))
    return { components: [], version: '', slug: name };
  const components = segments.flatMap((segment) => segment.components);
  return { components, version: textOf(components), slug: segments.map(({ slug }) => slug).join('/') };
}

function ofSegment(name: string): Parts {
  const date = dateOf(name);
  if (date) {
    const components = [{ date: true, digits: date.digits.replace(/0+$/, '') }];
    return { components, version: date.digits, slug: slugIn(name, date.length) };
  }
  const number = /^\d+/.exec(name)?.[0];
  if (number === undefined) return { components: [], version: '', slug: name };
  return { components: [numberOf(number)], version: number, slug: slugIn(name, number.length) };
}

function slugIn(name: string, from: number): string {
  return name.slice(from).replace(/^[_-]+/, '');
}

/** The digits of the date that a name begins with, and how much of the name it takes. */
function dateOf(name: string): { digits: string; length: number } | undefined {
  const dashed = DASHED.exec(name);
  const plain = dashed ? null : PLAIN.exec(name);
  const [start = ''] = dashed ?? plain ?? [''];
  if (start === '') return undefined;
  const day = start.replace(/\D/g, '');
  const time = day.length === 8 ? TIME.exec(name.slice(start.length)) : null;
  // `0001_02_03_x` is number 1; Laravel's `0001_01_01_000000_x` is a date.
  if (!/^(?:19|20)/.test(day) && (time?.[1]?.replace(/\D/g, '') ?? '').length < 6) return undefined;
  const [more = '', digits = ''] = time ?? [];
  return { digits: day + digits.replace(/\D/g, ''), length: start.length + more.length };
}

function numberOf(digits: string): Component {
  return { date: false, digits: digits.replace(/^0+/, '') };
}

/** The components as they are written, without what is missing anyway. */
function textOf(components: readonly Component[]): string {
  const written = components.map(({ date, digits }) => (date ? digits.padEnd(8, '0') : digits || '0'));
  while (written.length > 1 && written.at(-1) === '0') written.pop();
  return written.join('.');
}

function keyOf(components: readonly Component[]): string {
  const keys = components.map(({ date, digits }) => `${date ? 'd' : ''}${digits}`);
  while (keys.length > 1 && keys.at(-1) === '') keys.pop();
  return components.length ? `v${keys.join('.')}` : '';
}

const MISSING: Component = { date: false, digits: '' };

/** None before any; then one by one, a missing one being 0. */
function compareComponents(a: readonly Component[], b: readonly Component[]): number {
  if (!a.length || !b.length) return Math.sign(a.length - b.length);
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const [one, other] = [a[index] ?? MISSING, b[index] ?? MISSING];
    const compared =
      Number(one.date) - Number(other.date) ||
      // Without zeros at the end, dates compare as if these went on for ever.
      (one.date ? 0 : one.digits.length - other.digits.length) ||
      compareText(one.digits, other.digits);
    if (compared) return Math.sign(compared);
  }
  return 0;
}

/** By code unit, runs of digits as numbers: `a2` before `a10`. */
function compareSlugs(a: string, b: string): number {
  const [ones, others] = [tokensOf(a), tokensOf(b)];
  for (let index = 0; index < Math.max(ones.length, others.length); index += 1) {
    const [one, other] = [ones[index], others[index]];
    if (one === undefined) return -1;
    if (other === undefined) return 1;
    const numbers = isDigit(one) && isDigit(other);
    const compared = numbers
      ? compareComponents([numberOf(one)], [numberOf(other)])
      : compareText(one, other);
    if (compared) return compared;
  }
  return 0;
}

/** Runs of digits, and code units one by one. */
function tokensOf(slug: string): readonly string[] {
  return slug.match(/\d+|[^]/g) ?? [];
}

function isDigit(token: string): boolean {
  return token >= '0' && token < ':';
}

/** Names by their versions alone: 0 where these are equal. */
export function compareVersions(a: string, b: string): number {
  return compareComponents(partsOf(a).components, partsOf(b).components);
}
