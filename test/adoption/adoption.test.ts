import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Kysely, type Migration, Migrator, PostgresDialect, sql } from 'kysely';
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
/** With what mpm-migrate applies, and what the tool applies when it has it back. */
const ALL = [...NAMES, '20240101000003_later', '20240101000004_back'];
const STEPS = [CREATE, NOTE, LATER, 'alter table meters add back text'];

async function workFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mpm-adoption-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

interface Taken {
  names?: readonly string[];
  /** The file that is new. */
  later?: string;
  /** What else is written with it. */
  beside?: Record<string, string>;
  /** Lets the tool apply what it lacks of the first so many. */
  migrate?(count: number): Promise<unknown>;
}

/** Takes over what the tool did in the first tenant: shown first, then written, then `up` does only what is newer. */
async function takesOver(
  fleet: TestFleet,
  from: ToolName,
  { names = NAMES, later = '20240101000003_later.sql', beside = {}, migrate }: Taken = {},
): Promise<void> {
  const selection = { tenants: ['1'] };
  expect(await up(fleet.config, selection)).toMatchObject({ counts: { refused: 1 } });
  const shown = await baseline(fleet.config, selection, { from });
  expect(shown).toMatchObject({ write: false, failures: [], counts: { changed: 1 } });
  expect(shown.groups[0]?.changes.map(({ action, name }) => [action, name])).toEqual(
    names.map((name) => ['record', name]),
  );
  expect((await plan(fleet.config, selection)).counts).toMatchObject({ refused: 1 });
  expect(await baseline(fleet.config, selection, { from, write: true })).toMatchObject({
    counts: { changed: 1 },
  });
  expect(await baseline(fleet.config, selection, { from, write: true })).toMatchObject({
    counts: { unchanged: 1 },
  });
  expect(await up(fleet.config, selection)).toMatchObject({ counts: { current: 1 } });
  await fleet.write({ [`core/${later}`]: `${LATER};\n`, ...beside });
  const report = await up(fleet.config, selection);
  expect(report.tenants?.[0]?.applied.map(({ name }) => name)).toEqual([
    later.replace(/(?:\/migration)?\.sql$/, ''),
  ]);
  if (!migrate) return;
  // The way back, as its page has it: the tool takes what was applied here for its own, and goes on.
  const page = await readFile(join(import.meta.dirname, `../../docs/adopt/${from}.md`), 'utf8');
  for (const [, code = ''] of page.matchAll(/^```sql\n(.*?)^```$/gms)) await fleet.of(fleet.tenants[0], code);
  await migrate(ALL.length);
  expect(await fleet.of(fleet.tenants[0], 'select later, back from meters')).toEqual([]);
}

async function fleetOf(files?: Record<string, string>): Promise<TestFleet> {
  const own = NAMES.map((name, at) => [`core/${name}.sql`, `${[CREATE, NOTE][at]};\n`]);
  return makeFleet(databases, {
    count: 1,
    files: files ?? (Object.fromEntries(own) as Record<string, string>),
  });
}

/** A package that only those have who run these tests. */
async function load<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(required.resolve(name)).href)) as T;
}

function coreOf(fleet: TestFleet): string {
  return fleet.config.migrations.core;
}

function urlOf(fleet: TestFleet): string {
  return testServer(fleet.tenants[0]?.database);
}

test('kysely', async () => {
  const fleet = await fleetOf();
  const migrate = async (count: number) => {
    const db = new Kysely<unknown>({
      dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: urlOf(fleet), max: 2 }) }),
    });
    const migrations = Object.fromEntries(
      ALL.slice(0, count).map((name, at): [string, Migration] => [
        name,
        { up: async (on) => void (await sql.raw(STEPS[at] ?? '').execute(on)) },
      ]),
    );
    const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
    const { error } = await migrator.migrateToLatest();
    await db.destroy();
    expect(error).toBeUndefined();
  };
  await migrate(NAMES.length);
  await takesOver(fleet, 'kysely', { migrate });
});

test('knex', async () => {
  const fleet = await fleetOf();
  const folder = await workFolder();
  const makeKnex = required('knex') as (options: object) => {
    migrate: { latest(): Promise<unknown> };
    destroy(): Promise<void>;
  };
  const migrate = async (count: number) => {
    for (const [at, name] of ALL.slice(0, count).entries()) {
      const text = `exports.up = (knex) => knex.raw(${JSON.stringify(STEPS[at])});\nexports.down = () => {};\n`;
      await writeFile(join(folder, `${name}.js`), text);
    }
    const knex = makeKnex({ client: 'pg', connection: urlOf(fleet), migrations: { directory: folder } });
    await knex.migrate.latest();
    await knex.destroy();
  };
  await migrate(NAMES.length);
  await takesOver(fleet, 'knex', { migrate });
});

test('node-pg-migrate', async () => {
  const fleet = await fleetOf();
  const folder = await workFolder();
  const { runner } = (await import(pathToFileURL(required.resolve('node-pg-migrate')).href)) as {
    runner(options: object): Promise<unknown>;
  };
  const migrate = async (count: number) => {
    for (const [at, name] of ALL.slice(0, count).entries()) {
      const text = `exports.up = (pgm) => pgm.sql(${JSON.stringify(STEPS[at])});\n`;
      await writeFile(join(folder, `${name}.cjs`), text);
    }
    await runner({
      databaseUrl: urlOf(fleet),
      dir: folder,
      migrationsTable: 'pgmigrations',
      direction: 'up',
      log: () => undefined,
    });
  };
  await migrate(NAMES.length);
  await takesOver(fleet, 'node-pg-migrate', { migrate });
});

test('dbmate', async () => {
  const fleet = await fleetOf();
  const folder = await workFolder();
  await mkdir(join(folder, 'db'));
  const url = new URL(urlOf(fleet));
  url.searchParams.set('sslmode', 'disable');
  const program = required.resolve(`@dbmate/${process.platform}-${process.arch}/bin/dbmate`);
  const args = ['--url', url.href, '--migrations-dir', join(folder, 'db'), '--no-dump-schema', 'migrate'];
  const migrate = async (count: number) => {
    for (const [at, name] of ALL.slice(0, count).entries()) {
      const text = `-- migrate:up\n${STEPS[at]};\n-- migrate:down\n`;
      await writeFile(join(folder, 'db', `${name}.sql`), text);
    }
    await promisify(execFile)(program, args, { cwd: folder });
  };
  await migrate(NAMES.length);
  await takesOver(fleet, 'dbmate', { migrate });
});

interface DrizzleMigrator {
  migrate(db: object, options: { migrationsFolder: string }): Promise<void>;
}
interface DrizzleDriver {
  drizzle(client: pg.Client): object;
}

/** Two of its migrations are of one time. */
test('drizzle before 1.0', async () => {
  const tags = ['0000_meters', '0001_note', '0002_more', '0003_later'];
  const journal = (whens: number[]) =>
    JSON.stringify({
      version: '7',
      dialect: 'postgresql',
      entries: whens.map((when, idx) => ({ idx, version: '7', when, tag: tags[idx], breakpoints: true })),
    });
  const fleet = await fleetOf({
    'core/0000_meters.sql': `${CREATE};--> statement-breakpoint\nalter table meters add a int;`,
    'core/0001_note.sql': NOTE,
    'core/0002_more.sql': 'alter table meters add more text',
    'core/meta/_journal.json': journal([1704067200001, 1704067200002, 1704067200002]),
  });
  const { migrate } = await load<DrizzleMigrator>('drizzle-orm/node-postgres/migrator');
  const { drizzle } = await load<DrizzleDriver>('drizzle-orm/node-postgres');
  const client = new pg.Client(urlOf(fleet));
  await client.connect();
  await migrate(drizzle(client), { migrationsFolder: coreOf(fleet) });
  await client.end();
  await takesOver(fleet, 'drizzle', {
    names: tags.slice(0, 3),
    later: '0003_later.sql',
    beside: {
      'core/meta/_journal.json': journal([1704067200001, 1704067200002, 1704067200002, 1704067200003]),
    },
  });
});

test('drizzle since 1.0', async () => {
  const fleet = await fleetOf(
    Object.fromEntries(NAMES.map((name, at) => [`core/${name}/migration.sql`, `${[CREATE, NOTE][at]}`])),
  );
  const { migrate } = await load<DrizzleMigrator>('drizzle-orm-1/node-postgres/migrator');
  const { drizzle } = await load<{ drizzle(options: object): object }>('drizzle-orm-1/node-postgres');
  const run = async () => {
    const client = new pg.Client(urlOf(fleet));
    await client.connect();
    await migrate(drizzle({ client }), { migrationsFolder: coreOf(fleet) });
    await client.end();
  };
  await run();
  await takesOver(fleet, 'drizzle', {
    later: '20240101000003_later/migration.sql',
    async migrate() {
      await fleet.write({ 'core/20240101000004_back/migration.sql': STEPS[3] ?? '' });
      await run();
    },
  });
});

test('typeorm', async () => {
  const names = ['1704067200001-meters', '1704067200002-other-name'];
  const more = ['1704067200003-later', '1704067200004-back'];
  const text = (name: string, sql: string) =>
    `module.exports.${name} = class ${name} {\n  async up(queryRunner) { await queryRunner.query(${JSON.stringify(sql)}); }\n  async down(queryRunner) {}\n};\n`;
  const fleet = await fleetOf({
    [`core/${names[0]}.cjs`]: text('Meters1704067200001', CREATE),
    [`core/${names[1]}.cjs`]: text('Note1704067200002', NOTE),
  });
  const { DataSource } = required('typeorm') as {
    DataSource: new (options: object) => {
      initialize(): Promise<unknown>;
      runMigrations(): Promise<unknown>;
      destroy(): Promise<void>;
    };
  };
  const run = async (those: readonly string[]) => {
    const source = new DataSource({
      type: 'postgres',
      url: urlOf(fleet),
      migrations: those.map((name) => join(coreOf(fleet), `${name}.cjs`)),
    });
    await source.initialize();
    await source.runMigrations();
    await source.destroy();
  };
  await run(names);
  await takesOver(fleet, 'typeorm', {
    names,
    later: '1704067200003-later.sql',
    async migrate() {
      await fleet.write({
        [`core/${more[0]}.cjs`]: text('Later1704067200003', LATER),
        [`core/${more[1]}.cjs`]: text('Back1704067200004', STEPS[3] ?? ''),
      });
      await run([...names, ...more]);
    },
  });
});

test('sequelize', async () => {
  const moduleOf = (at: number) =>
    `module.exports = { up: async (queryInterface) => queryInterface.sequelize.query(${JSON.stringify(STEPS[at])}), down: async () => {} };\n`;
  const fleet = await fleetOf(Object.fromEntries(NAMES.map((name, at) => [`core/${name}.js`, moduleOf(at)])));
  const { Sequelize } = required('sequelize') as {
    Sequelize: new (url: string, options: object) => { getQueryInterface(): object; close(): Promise<void> };
  };
  const { Umzug, SequelizeStorage } = required('umzug') as {
    Umzug: new (options: object) => { up(): Promise<unknown> };
    SequelizeStorage: new (options: object) => object;
  };
  const run = async () => {
    const sequelize = new Sequelize(urlOf(fleet), { logging: false });
    const umzug = new Umzug({
      migrations: {
        glob: ['*.js', { cwd: coreOf(fleet) }],
        resolve: ({ name, path, context }: { name: string; path: string; context: object }) => ({
          name,
          up: async () => (required(path) as { up(context: object): Promise<void> }).up(context),
        }),
      },
      context: sequelize.getQueryInterface(),
      storage: new SequelizeStorage({ sequelize }),
      logger: undefined,
    });
    await umzug.up();
    await sequelize.close();
  };
  await run();
  await takesOver(fleet, 'sequelize', {
    async migrate() {
      await fleet.write({ [`core/${ALL[2]}.js`]: moduleOf(2), [`core/${ALL[3]}.js`]: moduleOf(3) });
      await run();
    },
  });
});

test('mikro-orm', async () => {
  const all = STEPS.map((_, at) => `Migration2024010100000${at + 1}`);
  const names = all.slice(0, 2);
  const fleet = await fleetOf(
    Object.fromEntries(
      names.map((name, at) => [
        `core/${name}.ts`,
        `import { Migration } from '@mikro-orm/migrations';\nexport class ${name} extends Migration { up() { this.addSql(${JSON.stringify([CREATE, NOTE][at])}); } }\n`,
      ]),
    ),
  );
  const { MikroORM } = await load<{
    MikroORM: {
      init(options: object): Promise<{ migrator: { up(): Promise<unknown> }; close(): Promise<void> }>;
    };
  }>('@mikro-orm/postgresql');
  const { Migration, Migrator } = await load<{
    Migration: new (...args: unknown[]) => { addSql(sql: string): void };
    Migrator: object;
  }>('@mikro-orm/migrations');
  const migrate = async (count: number) => {
    const orm = await MikroORM.init({
      clientUrl: urlOf(fleet),
      dbName: fleet.tenants[0]?.database,
      entities: [],
      logger: () => undefined,
      discovery: { warnWhenNoEntities: false },
      extensions: [Migrator],
      migrations: {
        snapshot: false,
        migrationsList: all.slice(0, count).map((name, at) => ({
          name,
          class: class extends Migration {
            up(): void {
              this.addSql(STEPS[at] ?? '');
            }
          },
        })),
      },
    });
    await orm.migrator.up();
    await orm.close();
  };
  await migrate(names.length);
  await takesOver(fleet, 'mikro-orm', { names, later: 'Migration20240101000003.sql', migrate });
});
