import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { compareNames, versionOf } from '../../src/engine/source/name.ts';
import { markedSections } from './sections.ts';

/** A migration of somebody else's, as plain SQL for both sides. */
export interface HistoryMigration {
  /** The name it gets in our project: numeric prefix, unique. */
  name: string;
  /** The file it came from, as that project calls it. */
  origin: string;
  up: string;
  down?: string;
  /** What its author says must not run in a transaction. */
  outside: Record<'up' | 'down', boolean>;
}

export interface Collected {
  migrations: HistoryMigration[];
  skipped: { file: string; why: string }[];
  /** Why the migrations got new numbers, if they did. */
  renumbered?: string;
}

interface Candidate {
  file: string;
  stem: string;
  direction: 'up' | 'down' | 'both';
  dialect: string | undefined;
  autocommit: boolean;
}

const DIALECTS = 'postgres|postgresql|pg|mysql|mariadb|sqlite|sqlite3|cockroach|cockroachdb|mssql';
const OURS = new Set(['postgres', 'postgresql', 'pg']);
const FILE = new RegExp(`^(.+?)(?:\\.(${DIALECTS}))?(\\.autocommit)?(?:\\.(up|down))?\\.sql$`);
const NO_TRANSACTION =
  /^--\s*(?:\+(?:goose|migrate) .*no ?transaction|postgres-migrations disable-transaction|no-transaction\b)/im;

const SETUP = '0_setup';

/**
 * Reads a folder of PostgreSQL migrations in any of the usual styles, and puts them under names that we accept.
 * @param setup SQL that goes in front of them all
 */
export function collect(
  folder: string,
  replace: readonly [from: string, to: string][] = [],
  setup?: string,
): Collected {
  const skipped: Collected['skipped'] = [];
  const groups = new Map<string, Candidate[]>();
  for (const file of listFiles(folder)) {
    const candidate = parse(file);
    if (!candidate) skipped.push({ file, why: whyNoMigration(file) });
    else if (candidate.dialect && !OURS.has(candidate.dialect))
      skipped.push({ file, why: `${candidate.dialect} only` });
    else groups.set(candidate.stem, [...(groups.get(candidate.stem) ?? []), candidate]);
  }
  const read = (file: string): string =>
    dieselMark(folder, file) +
    replace.reduce((text, [from, to]) => text.replaceAll(from, to), readFileSync(join(folder, file), 'utf8'));
  adoptStrayDowns(groups);
  const { names, renumbered } = acceptableNames([...(setup === undefined ? [] : [SETUP]), ...groups.keys()]);
  const migrations: HistoryMigration[] = [];
  if (setup !== undefined) {
    migrations.push({
      name: names.get(SETUP)!,
      origin: 'setup',
      up: setup,
      outside: { up: false, down: false },
    });
  }
  for (const [stem, candidates] of groups) {
    const up = preferred(candidates, 'up');
    const down = preferred(candidates, 'down');
    if (!up) {
      skipped.push(...candidates.map(({ file }) => ({ file, why: 'a way down without a way up' })));
      continue;
    }
    for (const other of candidates.filter((one) => one !== up && one !== down)) {
      skipped.push({ file: other.file, why: 'a file for PostgreSQL takes its place' });
    }
    migrations.push(migrationOf(names.get(stem)!, up, down, read));
  }
  const inOrder = migrations.toSorted((a, b) => compareNames(a.name, b.name));
  return { migrations: inOrder, skipped, ...(renumbered && { renumbered }) };
}

/** A way down whose slug has a typing error belongs to the way up of the same number, as in tools that go by number. */
function adoptStrayDowns(groups: Map<string, Candidate[]>): void {
  const lone = (direction: 'up' | 'down'): string[] =>
    [...groups.keys()].filter((stem) => groups.get(stem)!.every((one) => one.direction === direction));
  const ups = lone('up');
  for (const stray of lone('down')) {
    const [up, ...others] = ups.filter((stem) => prefixOf(stem) === prefixOf(stray));
    if (up === undefined || others.length > 0) continue;
    groups.get(up)!.push(...groups.get(stray)!);
    groups.delete(stray);
  }
}

function migrationOf(
  name: string,
  up: Candidate,
  down: Candidate | undefined,
  read: (file: string) => string,
): HistoryMigration {
  const text = read(up.file);
  const marked = NO_TRANSACTION.test(text);
  const sections = up.direction === 'both' ? markedSections(text) : undefined;
  if (sections) return { name, origin: up.file, outside: { up: marked, down: marked }, ...sections };
  const lower = down && read(down.file);
  const outside = {
    up: up.autocommit || marked,
    down: down !== undefined && (down.autocommit || NO_TRANSACTION.test(lower ?? '')),
  };
  return { name, origin: up.file, up: text, outside, ...(lower !== undefined && { down: lower }) };
}

/** Diesel says it in a file next to up.sql: put in front, it is read as the other tools' marks are. */
function dieselMark(folder: string, file: string): string {
  const metadata = join(folder, dirname(file), 'metadata.toml');
  const marked =
    file.includes('/') &&
    existsSync(metadata) &&
    /run_in_transaction\s*=\s*false/.test(readFileSync(metadata, 'utf8'));
  return marked ? '-- no-transaction\n' : '';
}

/** Files of the folder itself and, where each migration has a folder of its own, `NAME/up.sql` and `NAME/down.sql`. */
function listFiles(folder: string): string[] {
  return readdirSync(folder).flatMap((entry) => {
    if (!statSync(join(folder, entry)).isDirectory()) return [entry];
    return readdirSync(join(folder, entry))
      .filter((file) => file === 'up.sql' || file === 'down.sql')
      .map((file) => `${entry}/${file}`);
  });
}

function parse(file: string): Candidate | undefined {
  const [entry = '', inner] = file.split('/');
  if (!/^\d/.test(entry)) return undefined;
  if (inner) {
    const direction = inner === 'up.sql' ? 'up' : 'down';
    return { file, stem: entry, direction, dialect: undefined, autocommit: false };
  }
  const [, stem, dialect, autocommit, direction] = FILE.exec(file) ?? [];
  if (!stem) return undefined;
  return {
    file,
    stem,
    dialect,
    autocommit: autocommit !== undefined,
    direction: (direction as 'up' | 'down' | undefined) ?? 'both',
  };
}

function whyNoMigration(file: string): string {
  if (/\.(go|rb|py|js|ts|mjs|cjs|java|php|rs)$/.test(file)) return 'code, not SQL';
  return file.endsWith('.sql') ? 'no number in front' : 'no migration';
}

/** The file written for PostgreSQL, else the one for every database. */
function preferred(candidates: readonly Candidate[], direction: 'up' | 'down'): Candidate | undefined {
  const fitting = candidates.filter((one) => one.direction === direction || one.direction === 'both');
  const found = fitting.find((one) => one.dialect) ?? fitting[0];
  return direction === 'down' && found?.direction === 'both' ? undefined : found;
}

/** `2019-02-26-002946_x` becomes one number and a slug; where that is not unique, all are numbered anew. */
function acceptableNames(stems: readonly string[]): { names: Map<string, string>; renumbered?: string } {
  const named = stems.map((stem): [string, string] => {
    const prefix = prefixOf(stem);
    const slug = stem
      .slice(prefix.length)
      .replace(/^[-_.]+/, '')
      .replace(/[^A-Za-z0-9_-]+/g, '_');
    return [stem, `${prefix.replaceAll('-', '')}_${slug || 'migration'}`];
  });
  const seen = new Map<string, string>();
  for (const [stem, name] of named) {
    const version = versionOf(name).replace(/^0+/, '');
    const other = seen.get(version);
    if (other !== undefined)
      return { names: numberAnew(named), renumbered: `${other} and ${stem} have one number` };
    seen.set(version, stem);
  }
  return { names: new Map(named) };
}

function numberAnew(named: readonly [stem: string, name: string][]): Map<string, string> {
  const inOrder = named.toSorted(
    ([x, a], [y, b]) => Number(y === SETUP) - Number(x === SETUP) || compareNames(a, b),
  );
  return new Map(inOrder.map(([stem, name], at) => [stem, `${String(at + 1).padStart(6, '0')}_${name}`]));
}

function prefixOf(stem: string): string {
  return /^\d+(?:-\d+)*(?=[-_.]|$)/.exec(stem)?.[0] ?? versionOf(stem);
}
