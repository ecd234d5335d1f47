import { createHash } from 'node:crypto';
import { MpmError } from '../../errors.ts';
import { identifier, literal } from '../../postgres/quote.ts';
import type { HistoryPosition } from './fence.ts';
import { type HistoryTable, tableName } from './history.ts';
import type { Script } from '../migration.ts';
import { isCalled, versionsMeant } from '../source/name.ts';
import { fingerprintLine, type HistoryRow } from './state.ts';

/** Where a history stands, readable from outside its database (engine 30). */
export interface Stamp {
  /** How many rows the history has. */
  count: number;
  fingerprint: string;
}

/** The history is in work, or was left in the middle of it: connect and look (engine 39). */
export interface OpenStamp {
  /** Of whose work: a word of its own. */
  by: string;
}

const OPEN = /\[mpm-migrate:2:open:(\w+)\]$/;
const TAG = /\[mpm-migrate:2:(\d+):([0-9a-f]{64})\]$/;

/** Of every format; one that does not know another's stamp has written its own behind it. */
const TAGS = /(?:\s*\[mpm-migrate:\d+:[^\]]*\])+$/;

/** Whether there is a stamp of any format. */
export function isStamped(comment: string | null): boolean {
  return TAGS.test(comment ?? '');
}

/** The stamp at the end of a database's comment; undefined when there is none, an open one, or one of another format. */
export function parseStamp(comment: string | null): Stamp | undefined {
  const [, count, fingerprint] = TAG.exec(comment ?? '') ?? [];
  return count && fingerprint ? { count: Number(count), fingerprint } : undefined;
}

/** Whose work the stamp was left open by. */
export function openedBy(comment: string | null): string | undefined {
  return OPEN.exec(comment ?? '')?.[1];
}

/** What a person wrote; null when that is nothing. */
export function withoutStamp(comment: string | null): string | null {
  return (comment ?? '').replace(TAGS, '') || null;
}

/** The comment with this stamp behind what a person wrote. */
export function withStamp(comment: string | null, stamp: Stamp | OpenStamp): string {
  const words = withoutStamp(comment);
  return `${words === null ? '' : `${words} `}${tagOf(stamp)}`;
}

function tagOf(stamp: Stamp | OpenStamp): string {
  return 'by' in stamp
    ? `[mpm-migrate:2:open:${stamp.by}]`
    : `[mpm-migrate:2:${stamp.count}:${stamp.fingerprint}]`;
}

/** Needs ownership of the database, and is transactional. */
export function writeStamp(database: string, comment: string | null, stamp: Stamp | OpenStamp): string {
  return `comment on database ${identifier(database)} is ${literal(withStamp(comment, stamp))}`;
}

/**
 * As {@link writeStamp}, behind the comment as it is by then: for migrations that may have written one themselves.
 * Needs PL/pgSQL, because COMMENT takes nothing but a literal.
 */
export function writeStampBehind(stamp: Stamp | OpenStamp): string {
  const words = `regexp_replace(coalesce(shobj_description(oid, 'pg_database'), ''), ${literal(TAGS.source)}, '')`;
  return `do $mpm$ declare was text; begin
  select ${words} into was from pg_catalog.pg_database where datname = current_database();
  execute format('comment on database %I is %L', current_database(), was || case when was = '' then '' else ' ' end || ${literal(tagOf(stamp))});
end $mpm$`;
}

/** Whether the script may write the database's comment: SQL that says so; of a module it is not known. */
export function mayComment(script: Script): boolean {
  return script.kind === 'module' || /comment\s+on\s+database/i.test(script.sql);
}

/** Where a history with these rows stands, which must be in the order of their positions. */
export function positionOf(
  rows: readonly Pick<HistoryRow, 'position' | 'name' | 'checksum' | 'state'>[],
): HistoryPosition & Stamp {
  return { ...stampOf(rows), last: rows.at(-1)?.position ?? 0 };
}

/** The stamp of a history with these rows, which must be in the order of their positions. */
export function stampOf(rows: readonly Pick<HistoryRow, 'name' | 'checksum' | 'state'>[]): Stamp {
  const hash = createHash('sha256');
  for (const row of rows) hash.update(fingerprintLine(row));
  return { count: rows.length, fingerprint: hash.digest('hex') };
}

/** How far a database has come, and whether a certain migration is in it. */
export interface Reached {
  /** The last one that was applied; null without any. */
  head: string | null;
  there: boolean;
}

/** One row of {@link selectReached}: the names are of those that may be the migration. */
export type MayHaveReached = Pick<Reached, 'head'> & { names: string[] };

/**
 * One {@link MayHaveReached}. The history must be there.
 * @param atLeast a version, or the whole name of a migration
 * @throws MpmError USAGE when it is empty
 */
export function selectReached(history: HistoryTable, atLeast: string): string {
  if (atLeast === '') {
    throw new MpmError('USAGE', "atLeast: an empty text isn't a version or a migration", {
      hint: "For example: { atLeast: '20260820140000' }",
    });
  }
  const settled = `from ${tableName(history)} where state in ('applied', 'baseline')`;
  const versions = versionsMeant(atLeast).map((version) => `pg_catalog.btrim(${literal(version)}, '0')`);
  const wanted = [
    `name = ${literal(atLeast)}`,
    ...(versions.length ? [`pg_catalog.btrim(version, '0') in (${versions.join(', ')})`] : []),
  ];
  return `select (select name ${settled} order by position desc limit 1) as head,
  array(select name::pg_catalog.text ${settled} and (${wanted.join(' or ')})) as names`;
}

/**
 * Whether the migration itself is there. A newer head does not tell, because a tenant's own migrations have numbers as well,
 * and its folder may lack what core has.
 */
export function reachedOf({ head, names }: MayHaveReached, atLeast: string): Reached {
  return { head, there: names.some((name) => isCalled(name, atLeast)) };
}
