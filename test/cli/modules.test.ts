import { describe, expect, test } from 'vitest';
import { cli, type CliOptions } from '../helpers/cli.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

/** A fleet whose core has these migrations, and where its commands are run. */
async function fleetWith(
  files: Record<string, string>,
  count = 3,
): Promise<{ fleet: TestFleet; where: CliOptions }> {
  const fleet = await makeFleet(databases, { count, files });
  const migrations = { core: 'core', tenants: 'tenants', seeds: 'seeds' };
  await fleet.write({
    'mpm-migrate.config.json': JSON.stringify({ central: fleet.config.central, migrations }),
  });
  return { fleet, where: { cwd: fleet.config.root, timeout: 120_000 } };
}

async function histories(fleet: TestFleet): Promise<string[][]> {
  const there = async (tenant: TestFleet['tenants'][number]) => {
    const [row] = await fleet.of<{ there: boolean }>(
      tenant,
      "select to_regclass('mpm_migrate.history') is not null as there",
    );
    return row?.there ? fleet.historyOf(tenant) : [];
  };
  return Promise.all(fleet.tenants.map(there));
}

describe('modules of a fleet', () => {
  test('engine 51: a missing await fails each tenant by itself, in a project of CommonJS as well', async () => {
    const { fleet, where } = await fleetWith(
      {
        'package.json': '{ "name": "app" }',
        'core/1_a.sql': 'create table a (id int);',
        'core/2_x.ts':
          "import type { Kysely } from 'kysely';\nexport function up(db: Kysely<any>) {\n  db.schema.createTable('xx').addColumn('id', 'integer').execute();\n}",
      },
      8,
    );
    const { code, stdout, stderr } = await cli(['up', '--all'], where);
    expect({ code, stderr }).toMatchObject({ code: 3 });
    expect(stdout).toContain("a statement was not awaited: schema.createTable('xx')");
    expect(stdout).toContain('▸ 3 │   db.schema');
    expect(stdout).toContain('8 failed');
    expect(await histories(fleet)).toEqual(fleet.tenants.map(() => ['1_a']));
  });

  test('engine 52: process.exit fails its tenant alone', async () => {
    const { fleet, where } = await fleetWith({
      'core/1_x.mts': `import { sql, type Kysely } from 'kysely';
import { exit } from 'node:process';
export async function up(db: Kysely<any>) {
  const { rows } = await sql<{ name: string }>\`select current_database() as name\`.execute(db);
  if (rows[0]?.name.endsWith('c2')) exit(0);
  process.exitCode = 0;
}`,
    });
    const { code, stdout } = await cli(['up', '--all'], where);
    expect(code).toBe(3);
    expect(stdout).toContain('process.exit(0)');
    expect(stdout).toContain('2 migrated');
    const done = (await histories(fleet)).map(({ length }) => length);
    expect(done).toEqual(fleet.tenants.map(({ database }) => (database.endsWith('c2') ? 0 : 1)));
  });

  test('engine 52: what a migration raises when all is done is an error of the run, after the others', async () => {
    const head = `import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { sql, type Kysely } from 'kysely';
const flag = async (db: Kysely<any>): Promise<string> =>
  (await sql<{ name: string }>\`select current_database() as name\`.execute(db)).rows[0]!.name + '.flag';
`;
    const { fleet, where } = await fleetWith({
      // Goes on once the second one has begun, which waits until it has.
      'core/1_soon.ts': `${head}export async function up(db: Kysely<any>) {
  const file = await flag(db);
  const timer = setInterval(() => {
    if (!existsSync(file)) return;
    clearInterval(timer);
    rmSync(file);
    void db.schema.createTable('late').execute();
  }, 5);
}`,
      'core/2_wait.ts': `${head}export async function up(db: Kysely<any>) {
  const file = await flag(db);
  writeFileSync(file, '');
  while (existsSync(file)) await new Promise((done) => setTimeout(done, 5));
}`,
    });
    const soon = await cli(['up', '--all', '--json'], where);
    expect(soon.code).toBe(1);
    const report = JSON.parse(soon.stdout) as { error: unknown; counts: unknown };
    expect(report).toMatchObject({
      counts: { migrated: 3 },
      error: { code: 'MIGRATION_LATE', migration: '1_soon' },
    });
    // Raised when the report is shown: nothing else keeps the process then.
    await fleet.write({
      'core/3_late.ts': `${head}export async function up(db: Kysely<any>) {
  await db.schema.createTable('b').execute();
  setTimeout(() => void db.schema.createTable('late').execute(), 3000);
}`,
    });
    const after = await cli(['up', '--tenant', '1'], where);
    expect(after.code).toBe(1);
    expect(after.stdout).toContain('1 migrated');
    expect(after.stdout + after.stderr).toContain(
      '3_late raised an error after it was done: a statement was not awaited',
    );
    expect(after.stderr).not.toContain('node:internal');
  });

  test('engine 51, 52: seeds and down', async () => {
    const { fleet, where } = await fleetWith(
      {
        'core/1_a.ts': `import type { Kysely } from 'kysely';
export const up = (db: Kysely<any>) => db.schema.createTable('a').execute();
export const down = (db: Kysely<any>) => void db.schema.dropTable('a').execute();`,
        'seeds/1_s.cjs': "exports.up = (db) => { db.insertInto('a').defaultValues().execute(); };",
      },
      1,
    );
    expect((await cli(['up', '--all'], where)).code).toBe(0);
    const { code, stdout } = await cli(['down', '--tenant', '1'], where);
    expect(code).toBe(3);
    expect(stdout).toContain("a statement was not awaited: schema.dropTable('a')");
    const created = await cli(
      ['tenant', 'create', 'Seeded', '--database', `${databases.prefix}seeded`],
      where,
    );
    expect(created.code).toBe(1);
    expect(created.stderr).toContain("a statement was not awaited: insertInto('a')");
    expect(await fleet.central("select 1 from companies where name = 'Seeded'")).toEqual([]);
  });

  test('engine 55: what create wrote is refused until it is written', async () => {
    const { fleet, where } = await fleetWith({ 'core/1_a.sql': 'create table a (id int);' }, 1);
    expect((await cli(['create', 'add note'], where)).code).toBe(0);
    expect((await cli(['create', 'add other', '--sql'], where)).code).toBe(0);
    const { code, stdout } = await cli(['up', '--all'], where);
    expect(code).toBe(3);
    expect(stdout).toMatch(/_add_note and .*_add_other: unedited templates of `mpm-migrate create`/);
    expect(await histories(fleet)).toEqual([[]]);
  });
});
