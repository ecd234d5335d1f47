import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Kysely, type Migration, Migrator, PostgresDialect } from 'kysely';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { plan } from '../../src/fleet/verbs/plan.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import type { ToolName } from '../../src/dialects/tool-names.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

// The real tools of test/adoption/package.json make their own tables: `npm run test:adoption` installs them.
const databases = withDatabases();
const required = createRequire(join(import.meta.dirname, 'package.json'));

const CREATE = 'create table meters (id int primary key)';
const NOTE = 'alter table meters add note text';
const LATER = 'alter table meters add later text';
const NAMES = ['20240101000001_meters', '20240101000002_note'] as const;

async function workFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mpm-adoption-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Takes over what the tool did in the first tenant: shown first, then written, then `up` does only what is newer. */
async function takesOver(fleet: TestFleet, from: ToolName): Promise<void> {
  const selection = { tenants: ['1'] };
  expect(await up(fleet.config, selection)).toMatchObject({ counts: { refused: 1 } });
  const shown = await baseline(fleet.config, selection, { from });
  expect(shown).toMatchObject({ write: false, failures: [], counts: { changed: 1 } });
  expect(shown.groups[0]?.changes.map(({ action, name }) => [action, name])).toEqual(
    NAMES.map((name) => ['record', name]),
  );
  expect((await plan(fleet.config, selection)).counts).toMatchObject({ refused: 1 });
  expect(await baseline(fleet.config, selection, { from, write: true })).toMatchObject({
    counts: { changed: 1 },
  });
  expect(await baseline(fleet.config, selection, { from, write: true })).toMatchObject({
    counts: { unchanged: 1 },
  });
  expect(await up(fleet.config, selection)).toMatchObject({ counts: { current: 1 } });
  await fleet.write({ 'core/20240101000003_later.sql': `${LATER};\n` });
  const report = await up(fleet.config, selection);
  expect(report.tenants?.[0]?.applied.map(({ name }) => name)).toEqual(['20240101000003_later']);
}

async function fleetOf(): Promise<TestFleet> {
  const files = NAMES.map((name, at) => [`core/${name}.sql`, `${[CREATE, NOTE][at]};\n`]);
  return makeFleet(databases, { count: 1, files: Object.fromEntries(files) as Record<string, string> });
}

function urlOf(fleet: TestFleet): string {
  return testServer(fleet.tenants[0]?.database);
}

test('kysely', async () => {
  const fleet = await fleetOf();
  const db = new Kysely<unknown>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: urlOf(fleet), max: 2 }) }),
  });
  const migrations = Object.fromEntries(
    NAMES.map((name, at): [string, Migration] => [
      name,
      {
        up: async (on) =>
          at === 0
            ? on.schema.createTable('meters').addColumn('id', 'integer').execute()
            : on.schema.alterTable('meters').addColumn('note', 'text').execute(),
      },
    ]),
  );
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  await db.destroy();
  expect(error).toBeUndefined();
  await takesOver(fleet, 'kysely');
});

test('knex', async () => {
  const fleet = await fleetOf();
  const folder = await workFolder();
  for (const [at, name] of NAMES.entries()) {
    const text = `exports.up = (knex) => knex.raw(${JSON.stringify([CREATE, NOTE][at])});\nexports.down = () => {};\n`;
    await writeFile(join(folder, `${name}.js`), text);
  }
  const makeKnex = required('knex') as (options: object) => {
    migrate: { latest(): Promise<unknown> };
    destroy(): Promise<void>;
  };
  const knex = makeKnex({ client: 'pg', connection: urlOf(fleet), migrations: { directory: folder } });
  await knex.migrate.latest();
  await knex.destroy();
  await takesOver(fleet, 'knex');
});

test('node-pg-migrate', async () => {
  const fleet = await fleetOf();
  const folder = await workFolder();
  for (const [at, name] of NAMES.entries()) {
    const text = `exports.up = (pgm) => pgm.sql(${JSON.stringify([CREATE, NOTE][at])});\n`;
    await writeFile(join(folder, `${name}.cjs`), text);
  }
  const { runner } = (await import(pathToFileURL(required.resolve('node-pg-migrate')).href)) as {
    runner(options: object): Promise<unknown>;
  };
  await runner({
    databaseUrl: urlOf(fleet),
    dir: folder,
    migrationsTable: 'pgmigrations',
    direction: 'up',
    log: () => undefined,
  });
  await takesOver(fleet, 'node-pg-migrate');
});

test('dbmate', async () => {
  const fleet = await fleetOf();
  const folder = await workFolder();
  await mkdir(join(folder, 'db'));
  for (const [at, name] of NAMES.entries()) {
    const text = `-- migrate:up\n${[CREATE, NOTE][at]};\n-- migrate:down\n`;
    await writeFile(join(folder, 'db', `${name}.sql`), text);
  }
  const url = new URL(urlOf(fleet));
  url.searchParams.set('sslmode', 'disable');
  const program = required.resolve(`@dbmate/${process.platform}-${process.arch}/bin/dbmate`);
  const args = ['--url', url.href, '--migrations-dir', join(folder, 'db'), '--no-dump-schema', 'migrate'];
  await promisify(execFile)(program, args, { cwd: folder });
  await takesOver(fleet, 'dbmate');
});
