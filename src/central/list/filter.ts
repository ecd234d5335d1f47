import type { Shard } from '../../config/shard.ts';
import { MpmError } from '../../errors.ts';

/** Which tenants; what is given together narrows. Nothing given: all of them (consent is asked for elsewhere). */
export interface TenantFilter {
  all?: boolean;
  /** Id, name or database; `1..9` a range of ids; `-7` leaves that one out. */
  tenants?: readonly string[];
  /** As `tenants`, but left out. */
  exclude?: readonly string[];
  labels?: Readonly<Record<string, string>>;
  /** Only these ids; one that does not exist is no error. */
  ids?: readonly string[];
  status?: string;
  server?: string;
  /** Only those that a run of the ledger left. */
  leftBy?: LeftBy;
  /** Only those that a run of the ledger changed, or may have changed. */
  changedBy?: LeftBy;
  /** As 0.1.0 wrote it: only tenants that failed or were not tried in every one of these runs. */
  unfinishedOf?: readonly number[];
  /** Only this slice of them. */
  shard?: Shard;
  /** Those of these as well. */
  and?: readonly TenantFilter[];
  /** None of these. */
  not?: readonly TenantFilter[];
  /** What `tenants` and `exclude` come to, once resolved to ids. */
  resolved?: ResolvedWords;
}

/** Whom a run recorded something of, by id, whatever has become of their labels (fleet 35). */
export interface LeftBy {
  run: number;
  /** Of a run that did not come to its end: its selection, of which those that it recorded nothing of are meant too. */
  unrecorded?: TenantFilter;
}

export interface ResolvedWords {
  /** Absent: no restriction. */
  anyOf?: Picked;
  noneOf?: Picked;
}

export interface Picked {
  ids: string[];
  ranges: IdRange[];
}

/** Both ends belong to it. */
export type IdRange = readonly [from: string, to: string];

/** The words of a selection, sorted by what they mean. */
export interface SelectionWords {
  wanted: { words: string[]; ranges: IdRange[] };
  excluded: { words: string[]; ranges: IdRange[] };
}

/** @throws MpmError USAGE for an empty word or a range that runs backwards */
export function sortWords(filter: Pick<TenantFilter, 'tenants' | 'exclude'>): SelectionWords {
  const sorted: SelectionWords = { wanted: { words: [], ranges: [] }, excluded: { words: [], ranges: [] } };
  const sort = (word: string, into: SelectionWords['wanted']) => {
    if (word.trim() === '')
      throw new MpmError('USAGE', '--tenant: an empty name', { hint: 'Use an ID, a name, or a database.' });
    const range = /^(\d+)\.\.(\d+)$/.exec(word);
    if (!range?.[1] || !range[2]) return into.words.push(word);
    if (BigInt(range[1]) > BigInt(range[2])) {
      throw new MpmError('USAGE', `--tenant ${word}: the range runs backwards`, {
        subject: word,
        hint: `Did you mean ${range[2]}..${range[1]}?`,
      });
    }
    return into.ranges.push([range[1], range[2]]);
  };
  for (const word of filter.tenants ?? []) {
    if (/^-./.test(word)) sort(word.slice(1), sorted.excluded);
    else sort(word, sorted.wanted);
  }
  for (const word of filter.exclude ?? []) sort(word.replace(/^-(?=.)/, ''), sorted.excluded);
  return sorted;
}

/**
 * A tenant's place between 0 and 1, by its id alone. Numbers go by multiples of the golden ratio, which spread any
 * run of ids more evenly than chance would; other ids by a hash.
 */
export const PLACE = `(case when t.id::text ~ '^[0-9]{1,30}$' then mod(t.id::text::numeric * 0.6180339887498948482045868343656381177, 1)
  else ('x' || encode(substr(sha256(convert_to(t.id::text, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint / 4294967296.0 end)`;

/** Outcomes after which `up --failed` need not come back. */
export const SETTLED = ['migrated', 'reverted', 'current', 'pending', 'executed'];

/**
 * The condition of a filter over the list of tenants `t`, with its values pushed to `values`. Values go as text
 * and take the type of what they are compared with, so that ids may be bigint, uuid or text.
 */
export function conditionOf(filter: TenantFilter, values: unknown[]): string {
  const value = (given: unknown) => `$${values.push(given)}`;
  const conditions: string[] = [];
  const picked = ({ ids, ranges }: Picked) => {
    const parts = ranges.map(
      ([from, to]) => `t.id::numeric between ${value(from)}::numeric and ${value(to)}::numeric`,
    );
    if (ids.length || !ranges.length) parts.unshift(`t.id = any(${value(ids)})`);
    return `(${parts.join(' or ')})`;
  };
  if (filter.resolved?.anyOf) conditions.push(picked(filter.resolved.anyOf));
  if (filter.resolved?.noneOf) conditions.push(`not ${picked(filter.resolved.noneOf)}`);
  // As text: ids from a caller or an older run need not fit the type that the list has now.
  if (filter.ids) conditions.push(`t.id::text = any(${value(filter.ids)}::text[])`);
  for (const [key, label] of Object.entries(filter.labels ?? {})) {
    conditions.push(`t.labels ->> ${value(key)} = ${value(label)}`);
  }
  if (filter.status !== undefined) conditions.push(`t.status = ${value(filter.status)}`);
  if (filter.server !== undefined) conditions.push(`t.server = ${value(filter.server)}`);
  const ofRun = ({ run, unrecorded }: LeftBy, which: string) => {
    const recorded = `from mpm_migrate.run_tenants r where r.run = ${value(run)} and r.tenant_id = t.id::text`;
    const meant = [`exists (select ${recorded} and ${which})`];
    if (unrecorded) meant.push(`not exists (select ${recorded}) and ${conditionOf(unrecorded, values)}`);
    conditions.push(`(${meant.join(' or ')})`);
  };
  if (filter.leftBy) ofRun(filter.leftBy, `r.outcome <> all(${value(SETTLED)}::text[])`);
  // A failed one may have committed what the answer was lost of.
  if (filter.changedBy) ofRun(filter.changedBy, "(r.applied <> '[]' or r.outcome in ('failed', 'busy'))");
  for (const run of filter.unfinishedOf ?? []) {
    conditions.push(`not exists (select from mpm_migrate.run_tenants r where r.run = ${value(run)}
      and r.tenant_id = t.id::text and r.outcome = any(${value(SETTLED)}::text[]))`);
  }
  if (filter.shard) {
    const { index, of } = filter.shard;
    conditions.push(`floor(${PLACE} * ${value(of)}::numeric) = ${value(index - 1)}::numeric`);
  }
  for (const inner of filter.and ?? []) conditions.push(`(${conditionOf(inner, values)})`);
  // A label that is not there makes a condition null.
  for (const inner of filter.not ?? []) conditions.push(`(${conditionOf(inner, values)}) is not true`);
  return conditions.length ? conditions.join(' and ') : 'true';
}
