import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'rolldown';
import { afterAll } from 'vitest';
import type { DownOptions } from '../../src/engine/plan-down.ts';
import { type Attempt, attemptDown, attemptUp, type MigrateOptions } from '../../src/engine/apply/migrate.ts';
import { readMigrations, type MigrationSet } from '../../src/engine/source/source.ts';
import { withConnection } from '../../src/postgres/connect.ts';
import { OPTIONS, targetOf } from './options.ts';

export { OPTIONS };

const folders: string[] = [];

/** Call once at the top of a file that uses {@link migrations}. */
export function withFolders(): void {
  afterAll(async () => {
    bundled = undefined;
    await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
  });
}

/** A folder with these files, read as `up` reads it. */
export async function migrations(files: Record<string, string>): Promise<MigrationSet> {
  return readMigrations(await folderOf(files), 'core');
}

export async function folderOf(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'mpm-test-'));
  folders.push(folder);
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(path.join(folder, name), text)));
  return folder;
}

export function up(url: string, set: MigrationSet, options: Partial<MigrateOptions> = {}): Promise<Attempt> {
  return attemptUp(targetOf(url), set, { ...OPTIONS, ...options });
}

export function down(
  url: string,
  set: MigrationSet,
  options: Partial<MigrateOptions & DownOptions> = {},
): Promise<Attempt> {
  return attemptDown(targetOf(url), set, { ...OPTIONS, ...options });
}

/** Rows of one query in that database. */
export function rowsIn<R = Record<string, unknown>>(url: string, sql: string): Promise<R[]> {
  return withConnection(
    { url, applicationName: 'test-helper', connectTimeout: 5000 },
    async (connection) => (await connection.raw(sql)).rows as R[],
  );
}

/** What a head stamp is to say, as PostgreSQL computes it over the rows. */
export const SELECT_FINGERPRINT = `select count(*)::int as count, encode(sha256(convert_to(coalesce(string_agg(
  name || ' ' || left(checksum, 67) || case when state in ('applied', 'baseline') then '' else ' ' || state end || E'\\n', '' order by position), ''), 'UTF8')), 'hex') as fingerprint
from mpm_migrate.history`;

/** `name state` of each history row in order; empty when there is no history. */
export async function historyOf(url: string): Promise<string[]> {
  const [table] = await rowsIn<{ there: boolean }>(
    url,
    "select to_regclass('mpm_migrate.history') is not null as there",
  );
  if (!table?.there) return [];
  const rows = await rowsIn<{ line: string }>(
    url,
    "select name || ' ' || state as line from mpm_migrate.history order by position",
  );
  return rows.map(({ line }) => line);
}

let bundled: Promise<string> | undefined;

/** The runner in one file: twenty processes that each translate the sources would only measure that. */
async function bundleRunner(): Promise<string> {
  const folder = await mkdtemp(path.join(import.meta.dirname, '../../node_modules/.mpm-test-'));
  folders.push(folder);
  const file = path.join(folder, 'runner.mjs');
  await build({
    input: path.join(import.meta.dirname, 'engine-runner.ts'),
    platform: 'node',
    external: ['jiti', 'kysely', 'libpg-query', 'pg', 'umzug'],
    output: { file, format: 'esm', codeSplitting: false },
    logLevel: 'silent',
  });
  return file;
}

/** Starts a runner in a process of its own. */
export async function startRunner(
  url: string,
  folder: string,
): Promise<{ kill(): void; finished: Promise<{ code: number | null; output: string }> }> {
  const runner = await (bundled ??= bundleRunner());
  const child = spawn(process.execPath, [runner, url, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  const finished = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, output }));
  });
  return { kill: () => void child.kill('SIGKILL'), finished };
}

/** The pid of the backend of that database whose activity matches; waits for it to come. */
export async function backendDoing(url: string, condition: string): Promise<number> {
  for (let look = 0; look < 400; look += 1) {
    const [row] = await rowsIn<{ pid: number }>(
      url,
      `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and ${condition} limit 1`,
    );
    if (row) return row.pid;
    await sleep(20);
  }
  throw new Error(`no backend came to: ${condition}`);
}

/** Waits until no runner is connected to that database any more: a killed client's backend may go on for a while. */
export async function backendsGone(url: string): Promise<void> {
  for (let look = 0; look < 400; look += 1) {
    const [row] = await rowsIn<{ count: number }>(
      url,
      "select count(*)::int as count from pg_stat_activity where datname = current_database() and application_name like 'mpm-migrate/%'",
    );
    if (row?.count === 0) return;
    await sleep(20);
  }
  throw new Error('a runner is still connected');
}
