import { MpmError } from '../../errors.ts';
import { BY_ID, idWord } from '../../shell-word.ts';
import { type Picked, sortWords, type TenantFilter } from './filter.ts';
import { type Listing, listingError, listingOf } from './listing.ts';

interface Match {
  id: string;
  name: string;
  database: string | null;
}

/**
 * The same filter with the words of `tenants` and `exclude` resolved to ids; as it is when there are none. What
 * it gives can be kept: a tenant that is gone later is no error any more.
 * @throws MpmError UNKNOWN_TENANT for a word that matches nobody, USAGE for one that matches several
 */
export async function resolveFilter(listing: Listing, filter: TenantFilter): Promise<TenantFilter> {
  const { wanted, excluded } = sortWords(filter);
  const { tenants: _, exclude: __, ...rest } = filter;
  if (!hasAny(wanted) && !hasAny(excluded)) return rest;
  const matches = await matchWords(listing, [...wanted.words, ...excluded.words]);
  await checkRanges(listing, [...wanted.ranges, ...excluded.ranges]);
  const pick = ({ words, ranges }: typeof wanted): Picked => ({
    ids: [...new Set(words.map((word) => oneOf(word, matches.get(word) ?? [])))],
    ranges,
  });
  const resolved = {
    ...(hasAny(wanted) ? { anyOf: pick(wanted) } : {}),
    ...(hasAny(excluded) ? { noneOf: pick(excluded) } : {}),
  };
  return { ...rest, resolved };
}

/**
 * The id of the one tenant that a word means, as it is: no range, and nobody to be left out.
 * @throws MpmError UNKNOWN_TENANT with near matches, USAGE with the ids when several are meant
 */
export async function resolveOne(listing: Listing, word: string): Promise<string> {
  const matches = await matchWords(listing, [word]);
  return oneOf(word, matches.get(word) ?? []);
}

function hasAny({ words, ranges }: { words: string[]; ranges: unknown[] }): boolean {
  return words.length + ranges.length > 0;
}

async function matchWords(listing: Listing, words: string[]): Promise<Map<string, Match[]>> {
  if (!words.length) return new Map();
  const rows = await listing.connection.application
    .prepared<Match>(
      `select distinct t.id::text as id, t.name, t.database from ${listingOf(listing.config.tenants)} t
where t.id::text = any($1::text[]) or t.name = any($1::text[]) or t.database = any($1::text[])`,
      [
        [
          ...words,
          ...words.map(bareId),
          ...words
            .map(bareId)
            .filter(isUuid)
            .map((word) => word.toLowerCase()),
        ],
      ],
    )
    .catch(async (error: unknown) => {
      throw await listingError(error, listing);
    });
  const found = new Map(words.map((word) => [word, matchesOf(word, rows)]));
  for (const [word, matches] of found) if (!matches.length) throw await unknownTenant(listing, word);
  return found;
}

/** An id is meant before a database, and both before a name, which need not be unique. */
function matchesOf(word: string, rows: readonly Match[]): Match[] {
  const id = bareId(word);
  const byId = rows.filter((row) => row.id === id || (isUuid(id) && row.id === id.toLowerCase()));
  if (byId.length || id !== word) return byId.slice(0, 1);
  return rows.filter((row) => row.database === word || row.name === word);
}

/** `id:-5` is the id -5, which would be taken for an exclusion. */
function bareId(word: string): string {
  return word.startsWith(BY_ID) ? word.slice(BY_ID.length) : word;
}

/** PostgreSQL prints them in small letters, and takes both. */
function isUuid(word: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(word);
}

function oneOf(word: string, matches: readonly Match[]): string {
  const ids = [...new Set(matches.map(({ id }) => id))];
  const [id] = ids;
  if (ids.length === 1 && id !== undefined) return id;
  const list = matches.slice(0, 5).map((match) => `${match.id} (${match.name}, database ${match.database})`);
  throw new MpmError('USAGE', `"${word}" is more than one tenant: ${list.join('; ')}`, {
    subject: word,
    hint: `Use the ID: --tenant ${idWord(ids[0] ?? '')}`,
  });
}

async function checkRanges(listing: Listing, ranges: Picked['ranges']): Promise<void> {
  for (const [from, to] of ranges) {
    const word = `${from}..${to}`;
    const list = listingOf(listing.config.tenants);
    try {
      const [kind] = await listing.connection.application.query<{ type: string }>(
        `select pg_typeof(t.id)::text as type from ${list} t limit 1`,
      );
      if (kind && !/^(smallint|integer|bigint|numeric)$/.test(kind.type)) {
        throw new MpmError('USAGE', `--tenant ${word}: ids of type ${kind.type} have no ranges`, {
          subject: word,
          hint: 'Name each tenant, or use --label.',
        });
      }
      const found =
        kind &&
        (await listing.connection.application.prepared(
          `select from ${list} t where t.id::numeric between $1::numeric and $2::numeric limit 1`,
          [from, to],
        ));
      if (found?.length) continue;
    } catch (error) {
      throw await listingError(error, listing);
    }
    throw new MpmError('UNKNOWN_TENANT', `No tenant has an id in ${word}`, {
      subject: word,
      hint: 'To list all tenants: mpm-migrate tenant list',
    });
  }
}

/** Reads names only in this case, page by page, and keeps the nearest few. */
async function unknownTenant(listing: Listing, word: string): Promise<MpmError> {
  const near = new Suggestions(word);
  const rows = await listing.connection.application.prepared<Match>(
    `select t.id::text as id, t.name, t.database from ${listingOf(listing.config.tenants)} t limit 20000`,
    [],
  );
  for (const { id, name, database } of rows) near.consider(`${name} (${id})`, [name ?? '', database ?? '']);
  const hint = near.labels.length
    ? `Did you mean ${near.labels.join(', ')}?`
    : rows.length
      ? 'To list all tenants: mpm-migrate tenant list'
      : 'There are no tenants yet: mpm-migrate tenant create "Acme Ltd"';
  return new MpmError('UNKNOWN_TENANT', `Unknown tenant "${word}"`, { subject: word, hint });
}

/** Collects the few words that are nearest to the one that was typed, out of any number of them. */
export class Suggestions {
  readonly #wanted: string;
  readonly #most: number;
  #best: { label: string; distance: number }[] = [];

  constructor(wanted: string, most = 3) {
    this.#wanted = fold(wanted);
    this.#most = most;
  }

  /** @param label what is shown when one of the words is near */
  consider(label: string, words: readonly string[]): void {
    const distances = words.map((word) => nearness(this.#wanted, fold(word)));
    const distance = Math.min(...distances);
    if (distance > Math.max(2, this.#wanted.length / 3)) return;
    this.#best.push({ label, distance });
    this.#best.sort((a, b) => a.distance - b.distance);
    this.#best.length = Math.min(this.#best.length, this.#most);
  }

  get labels(): string[] {
    return this.#best.map(({ label }) => label);
  }
}

function fold(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().slice(0, 80);
}

/** A word that begins with what was typed is near, whatever its length. */
function nearness(wanted: string, word: string): number {
  if (wanted.length > 1 && word.startsWith(wanted)) return 1;
  if (wanted.length > 2 && word.includes(wanted)) return 2;
  if (Math.abs(wanted.length - word.length) > Math.max(2, wanted.length / 3)) return Infinity;
  return editDistance(wanted, word);
}

/** Letters inserted, deleted or replaced to make one word of the other. */
function editDistance(from: string, to: string): number {
  const row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    let diagonal = row[0] ?? 0;
    row[0] = i;
    for (let j = 1; j <= to.length; j += 1) {
      const above = row[j] ?? 0;
      const left = row[j - 1] ?? 0;
      row[j] = from[i - 1] === to[j - 1] ? diagonal : 1 + Math.min(diagonal, above, left);
      diagonal = above;
    }
  }
  return row[to.length] ?? 0;
}
