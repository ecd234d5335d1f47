import { createHash } from 'node:crypto';
import { identifier, literal } from '../postgres/quote.ts';
import { fingerprintLine, type Standing } from './fence.ts';
import type { Script } from './migration.ts';
import type { HistoryRow } from './state.ts';

/** Where a history stands, readable from outside its database (engine 30). */
export interface Stamp {
  /** How many rows the history has. */
  count: number;
  fingerprint: string;
}

const TAG = /\s*\[mpm-migrate:1:(\d+):([0-9a-f]{64})\]$/;

/** The stamp at the end of a database's comment; undefined when there is none, or one of another format. */
export function parseStamp(comment: string | null): Stamp | undefined {
  const [, count, fingerprint] = TAG.exec(comment ?? '') ?? [];
  return count && fingerprint ? { count: Number(count), fingerprint } : undefined;
}

/** The comment with this stamp behind what a person wrote. */
export function withStamp(comment: string | null, stamp: Stamp): string {
  const words = (comment ?? '').replace(TAG, '');
  return `${words}${words ? ' ' : ''}[mpm-migrate:1:${stamp.count}:${stamp.fingerprint}]`;
}

/** Needs ownership of the database, and is transactional. */
export function writeStamp(database: string, comment: string | null, stamp: Stamp): string {
  return `comment on database ${identifier(database)} is ${literal(withStamp(comment, stamp))}`;
}

/**
 * As {@link writeStamp}, behind the comment as it is by then: for migrations that may have written one themselves.
 * Needs PL/pgSQL, because COMMENT takes nothing but a literal.
 */
export function writeStampBehind(stamp: Stamp): string {
  const words = `regexp_replace(coalesce(shobj_description(oid, 'pg_database'), ''), ${literal(TAG.source)}, '')`;
  const tag = `[mpm-migrate:1:${stamp.count}:${stamp.fingerprint}]`;
  return `do $mpm$ declare was text; begin
  select ${words} into was from pg_catalog.pg_database where datname = current_database();
  execute format('comment on database %I is %L', current_database(), was || case when was = '' then '' else ' ' end || ${literal(tag)});
end $mpm$`;
}

/** Whether the script may write the database's comment: SQL that says so; of a module it is not known. */
export function mayComment(script: Script): boolean {
  return script.kind === 'module' || /comment\s+on\s+database/i.test(script.sql);
}

/** Where a history with these rows stands, which must be in the order of their positions. */
export function standingOf(
  rows: readonly Pick<HistoryRow, 'position' | 'name' | 'checksum' | 'state'>[],
): Standing & Stamp {
  return { ...stampOf(rows), last: rows.at(-1)?.position ?? 0 };
}

/** The stamp of a history with these rows, which must be in the order of their positions. */
export function stampOf(rows: readonly Pick<HistoryRow, 'name' | 'checksum' | 'state'>[]): Stamp {
  const hash = createHash('sha256');
  for (const row of rows) hash.update(fingerprintLine(row));
  return { count: rows.length, fingerprint: hash.digest('hex') };
}
