import { MpmError } from '../../errors.ts';
import { fingerprintOf } from '../history/state.ts';
import type { Migration } from '../migration.ts';
import { scan } from '../sql/scan.ts';
import { fileLabel } from './files.ts';

/** What the first line of a snapshot says. */
export interface Replaces {
  /** `FIRST..LAST`: names, which may have dots of their own. */
  stretch: string;
  /** Of the migrations from the first to the last: SHA-256 in hex. */
  fingerprint: string;
}

/** @param text a comment from `mpm:` on; undefined: it says something else */
export function replacesOf(text: string): Replaces | undefined {
  const [, stretch, fingerprint] = /^mpm:replaces (.+) sha256:([0-9a-f]{64})\s*$/.exec(text) ?? [];
  return stretch === undefined || fingerprint === undefined ? undefined : { stretch, fingerprint };
}

/** The first line of a snapshot of these migrations. */
export function replacesLine(stretch: readonly Migration[]): string {
  const fingerprint = fingerprintOf(stretch, stretch.length) ?? '';
  return `-- mpm:replaces ${stretch[0]?.name}..${stretch.at(-1)?.name} sha256:${fingerprint}`;
}

/** A migration as it was read, and what its file says that it stands for. */
export type ReadMigration = Migration & { standsFor?: Replaces | undefined };

/**
 * Takes snapshots out of a list: each belongs to the last migration that it stands for.
 * @param complain hears of one that stands for other migrations than those that are there
 */
export function withSnapshots(
  all: readonly ReadMigration[],
  complain: (error: MpmError) => void,
): Migration[] {
  if (!all.some(({ standsFor }) => standsFor)) return [...all];
  const migrations: Migration[] = all.filter(({ standsFor }) => !standsFor);
  for (const { name, path, up, standsFor } of all) {
    if (!standsFor || up.kind !== 'sql') continue;
    const replaces = stretchOf(migrations, standsFor);
    const last = replaces?.at(-1);
    if (!replaces || !last) {
      complain(
        new MpmError(
          'MIGRATION_INVALID',
          `${fileLabel(path)}: it stands for ${standsFor.stretch}, and these migrations are not what it was made of`,
          {
            subject: path,
            hint: 'restore their files; or delete it, and make another one: mpm-migrate baseline --snapshot TENANT --write',
          },
        ),
      );
      continue;
    }
    migrations[migrations.indexOf(last)] = { ...last, snapshot: { name, path, up, replaces } };
  }
  return migrations;
}

function stretchOf(
  migrations: readonly Migration[],
  { stretch, fingerprint }: Replaces,
): Migration[] | undefined {
  for (const [from, { name }] of migrations.entries()) {
    if (!stretch.startsWith(`${name}..`)) continue;
    const rest = stretch.slice(name.length + 2);
    const to = migrations.findIndex((each) => each.name === rest);
    const found = to < from ? [] : migrations.slice(from, to + 1);
    if (found.length && fingerprintOf(found, found.length) === fingerprint) return found;
  }
  return undefined;
}

/** Settings that our own transaction has, or that not every version of the server knows. */
const DROPPED =
  /^(?:statement_timeout|lock_timeout|idle_in_transaction_session_timeout|transaction_timeout|client_encoding|standard_conforming_strings|client_min_messages|row_security)$/i;

/**
 * What pg_dump wrote as a migration: without commands for psql, its settings for the transaction alone, and without
 * comments on extensions, whose owner is mostly somebody else.
 */
export function snapshotOf(dump: string): string {
  const { statements, problems } = scan(dump);
  const edits: { from: number; to: number; by: string }[] = [];
  for (const { kind, offset, end } of problems)
    if (kind === 'meta-command') edits.push({ from: offset, to: end, by: '' });
  for (const { start, end } of statements) {
    const sql = dump.slice(start, end);
    const [, setting] = /^set\s+(\w+)\s*=/i.exec(sql) ?? [];
    if (setting !== undefined && DROPPED.test(setting)) edits.push({ from: start, to: end, by: '' });
    else if (setting !== undefined)
      edits.push({ from: start, to: end, by: sql.replace(/^set/i, 'SET LOCAL') });
    else if (/^comment\s+on\s+extension\s/i.test(sql)) edits.push({ from: start, to: end, by: '' });
    else if (/^select\s+pg_catalog\.set_config\('search_path', '', false\)/i.test(sql))
      edits.push({ from: start, to: end, by: sql.replace('false', 'true') });
  }
  let text = '';
  let at = 0;
  for (const { from, to, by } of edits.toSorted((a, b) => a.from - b.from)) {
    // A statement that goes takes its semicolon along.
    const behind = by === '' && dump[to] === ';' ? to + 1 : to;
    text += dump.slice(at, from) + by;
    at = behind;
  }
  return `${(text + dump.slice(at))
    // It would differ from one dump to the next.
    .replace(/^-- (?:Dumped (?:from|by)|Started on|Completed on).*\n/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim()}\n`;
}
