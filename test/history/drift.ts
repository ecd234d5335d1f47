import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ObjectDifference, compareCatalogs } from '../../src/engine/catalog/compare.ts';
import { fixingSql } from '../../src/engine/catalog/fix.ts';
import { type CatalogObject, readCatalog } from '../../src/engine/catalog/query.ts';
import { withConnection } from '../../src/postgres/connect.ts';
import type { Connection } from '../../src/postgres/connection.ts';
import { sqlstateOf } from '../../src/postgres/sqlstate.ts';
import { OPTIONS, targetOf } from '../helpers/options.ts';
import { type Change, LIST_CHANGES } from './changes.ts';
import { ask } from './psql.ts';
import { Tool } from './tool.ts';

const run = promisify(execFile);
const CATALOG = { history: OPTIONS.history, comments: true, lockTimeout: 5000 };
const TEMPLATE = 'before_history';
const TENANT = 'history_1';

export interface DriftCheck {
  /** A folder of its own, whose mpm-migrate.config.json says where the migrations are. */
  project: string;
  /** Of a superuser on a server of its own. */
  serverUrl: string;
  /** SQL that those migrations take for granted. */
  before?: string;
  /** Of one of a newer version, to which the database is taken by a dump; without it, none is taken. */
  newer?: { url: string; version: string };
  /** One change for each object, another one than for the object before; not all of them. */
  once: boolean;
  verbose: boolean;
  signal: AbortSignal;
  say(line: string): void;
}

/**
 * Migrates a tenant, and looks for differences where there are none: right behind it, and after a dump has been restored
 * on the same version, and on a newer one. Then each object is changed, each time from the same state: is that found, and
 * does the SQL that is shown take it back? Returns how many findings.
 */
export async function checkDrift(check: DriftCheck): Promise<number> {
  const { serverUrl, say } = check;
  let findings = await migrate(check, serverUrl, 'old');
  const built = await read(urlOf(serverUrl, TENANT));
  if (check.newer) {
    const { url, version } = check.newer;
    await restore(check, serverUrl);
    findings += sayFalse('a restored dump', built, await read(urlOf(serverUrl, 'restored')), say);
    findings += await migrate(check, url, 'new');
    await restore(check, url);
    const there = await read(urlOf(url, TENANT));
    findings += sayFalse(
      `a dump, restored on PostgreSQL ${version}`,
      there,
      await read(urlOf(url, 'restored')),
      say,
    );
  }
  return findings + (await changeEach(check, built));
}

async function migrate(
  { project, before, say }: DriftCheck,
  serverUrl: string,
  label: string,
): Promise<number> {
  const tool = new Tool(project, urlOf(serverUrl, 'micro_power_manager'));
  await mkdir(join(project, 'none'), { recursive: true });
  await ask(serverUrl, `create database ${TEMPLATE} template template0`);
  if (before !== undefined) await ask(urlOf(serverUrl, TEMPLATE), before);
  await tool.must(['central', 'up']);
  await tool.must(['tenant', 'create', TENANT, '--database', TENANT], {
    MPM_CORE_FOLDER: join(project, 'none'),
  });
  if (before !== undefined) await tool.must(['baseline', '--tenant', TENANT, '--to', '0', '--write']);
  await tool.must(['up', '--all', '--json']);
  const { code, stdout } = await tool.run(['verify', '--comments', '--json']);
  say(`  mpm-migrate verify (${label}): ${code === 0 ? 'as built' : `ends with ${code}\n${stdout}`}`);
  return code === 0 ? 0 : 1;
}

function read(url: string): Promise<CatalogObject[]> {
  return withConnection(targetOf(url), (connection) => readCatalog(connection, CATALOG));
}

async function restore({ serverUrl, project }: DriftCheck, to: string): Promise<void> {
  const file = join(project, 'dump.sql');
  await run('pg_dump', ['--file', file, urlOf(serverUrl, TENANT)]);
  await ask(to, 'create database restored template template0');
  await run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', file, urlOf(to, 'restored')], {
    maxBuffer: 64 << 20,
  });
}

function compare(
  built: readonly CatalogObject[],
  found: readonly CatalogObject[],
  other = TENANT,
): ObjectDifference[] {
  return compareCatalogs({ database: TENANT, objects: built }, { database: other, objects: found });
}

function sayFalse(
  where: string,
  built: readonly CatalogObject[],
  found: readonly CatalogObject[],
  say: DriftCheck['say'],
): number {
  const differences = compare(built, found, 'restored');
  say(`  ${where}: ${differences.length === 0 ? 'no difference' : `${differences.length} differences`}`);
  for (const { message, facts } of differences)
    say(
      `    ✖ ${message}${facts.map(({ built: one, found: two }) => `\n      + ${String(one)}\n      - ${String(two)}`).join('')}`,
    );
  return differences.length;
}

type Outcome =
  | 'not possible'
  | 'not compared, as listed'
  | 'missed'
  | 'found, and taken back'
  | 'found; a comment says how'
  | 'found; its rows are lost'
  | 'found; the SQL fails'
  | 'found; the SQL leaves some';

const FINDINGS: readonly Outcome[] = ['missed', 'found; the SQL fails', 'found; the SQL leaves some'];

async function changeEach(
  { serverUrl, say, signal, once, verbose }: DriftCheck,
  built: readonly CatalogObject[],
): Promise<number> {
  const counts = new Map<string, Map<Outcome, number>>();
  await withConnection(targetOf(urlOf(serverUrl, TENANT)), async (connection) => {
    await connection.query(
      'set allow_system_table_mods = on; create schema if not exists other_schema; drop schema other_schema',
    );
    const all = await connection.query<Change>(LIST_CHANGES);
    const changes = once ? oneOfEach(all) : all;
    say(`  ${changes.length} changes of ${built.length} objects`);
    for (const change of changes) {
      signal.throwIfAborted();
      const { outcome, told } = await changeOne(connection, change, built);
      const kinds = counts.get(change.kind) ?? new Map<Outcome, number>();
      counts.set(change.kind, kinds.set(outcome, (kinds.get(outcome) ?? 0) + 1));
      if (FINDINGS.includes(outcome))
        say(`    ✖ ${change.kind} ${change.object}, ${change.what}: ${outcome}\n${told}`);
      else if (verbose) say(`    ${change.kind} ${change.object}, ${change.what}: ${outcome} ${told}`);
    }
  });
  for (const [kind, outcomes] of counts)
    say(`  ${kind}: ${[...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join('; ')}`);
  return [...counts.values()].reduce(
    (sum, kinds) => sum + FINDINGS.reduce((all, each) => all + (kinds.get(each) ?? 0), 0),
    0,
  );
}

function oneOfEach(changes: readonly Change[]): Change[] {
  const objects = new Map<string, Change[]>();
  for (const change of changes) {
    const key = `${change.kind} ${change.object}`;
    objects.set(key, [...(objects.get(key) ?? []), change]);
  }
  return [...objects.values()].flatMap((each, at) => each[at % each.length] ?? []);
}

async function changeOne(
  connection: Connection,
  { sql, listed }: Change,
  built: readonly CatalogObject[],
): Promise<{ outcome: Outcome; told: string }> {
  await connection.query('begin');
  try {
    try {
      await connection.query(sql);
    } catch (error) {
      return { outcome: 'not possible', told: messageOf(error) };
    }
    const differences = compare(built, await readCatalog(connection, CATALOG));
    const said = differences.map(({ message }) => `      ${message}`).join('\n');
    if (differences.length === 0)
      return { outcome: listed ? 'not compared, as listed' : 'missed', told: `      ${sql}` };
    const fix = fixingSql(differences, built).join('\n');
    try {
      await connection.query(fix);
    } catch (error) {
      const commented = fix.includes('\n-- ') || fix.startsWith('-- ');
      // A key into a table that was dropped with its rows.
      const fails = sqlstateOf(error)?.startsWith('23') ? 'found; its rows are lost' : 'found; the SQL fails';
      return {
        outcome: commented ? 'found; a comment says how' : fails,
        told: `${said}\n      ${sql}\n${fix}\n${messageOf(error)}`,
      };
    }
    const left = compare(built, await readCatalog(connection, CATALOG));
    if (left.length === 0) return { outcome: 'found, and taken back', told: '' };
    const commented = fix.includes('\n-- ') || fix.startsWith('-- ');
    return {
      outcome: commented ? 'found; a comment says how' : 'found; the SQL leaves some',
      told: `${said}\n      ${sql}\n${fix}\n${left.map(({ message }) => `      left: ${message}`).join('\n')}`,
    };
  } finally {
    await connection.query('rollback');
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `      ${error.message}` : String(error);
}

function urlOf(serverUrl: string, database: string): string {
  return Object.assign(new URL(serverUrl), { pathname: `/${database}` }).href;
}
