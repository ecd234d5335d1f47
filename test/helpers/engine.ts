import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import type { DownOptions } from '../../src/migration/plan.ts';
import { type Attempt, attemptDown, attemptUp, type MigrateOptions } from '../../src/migration/migrate.ts';
import { readMigrations, type MigrationSet } from '../../src/migration/source.ts';
import { withConnection } from '../../src/postgres/connection.ts';

/** Options of the engine that a test wants: nothing waits, nothing is tried again. */
export const OPTIONS: MigrateOptions = {
  history: { schema: 'mpm_migrate', table: 'history' },
  pace: {
    lockTimeout: 1000,
    statementTimeout: 0,
    idleInTransactionTimeout: 60_000,
    lockWait: 10_000,
    retries: 0,
    connectTimeout: 5000,
  },
  run: '7',
  toolVersion: '0.0.0-test',
};

const folders: string[] = [];

/** Call once at the top of a file that uses {@link migrations}. */
export function withFolders(): void {
  afterAll(async () => {
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

export function targetOf(url: string) {
  return { url, applicationName: 'mpm-migrate/7/42', connectTimeout: 5000 };
}

export function up(url: string, set: MigrationSet, options: Partial<MigrateOptions> = {}): Promise<Attempt> {
  return attemptUp(targetOf(url), set, { ...OPTIONS, ...options });
}

export function down(url: string, set: MigrationSet, options: Partial<MigrateOptions & DownOptions> = {}): Promise<Attempt> {
  return attemptDown(targetOf(url), set, { ...OPTIONS, ...options });
}

/** Rows of one query in that database. */
export function rowsIn<R = Record<string, unknown>>(url: string, sql: string): Promise<R[]> {
  return withConnection({ url, applicationName: 'test-helper', connectTimeout: 5000 }, (connection) => connection.query<R>(sql));
}

/** `name state` of each history row in order; empty when there is no history. */
export async function historyOf(url: string): Promise<string[]> {
  const [table] = await rowsIn<{ there: boolean }>(url, "select to_regclass('mpm_migrate.history') is not null as there");
  if (!table?.there) return [];
  const rows = await rowsIn<{ line: string }>(url, "select name || ' ' || state as line from mpm_migrate.history order by position");
  return rows.map(({ line }) => line);
}
