import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DoctorReport } from '../../src/fleet/doctor/doctor.ts';
import type { PlanReport } from '../../src/fleet/report/plan-report.ts';
import { cli } from '../helpers/cli.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

/** A fleet whose core folder holds these files, and its command. */
async function fleetWith(files: Record<string, string>, count = 1) {
  const core = Object.entries(files).map(([path, text]) => [`core/${path}`, text]);
  const fleet = await makeFleet(databases, { count, files: Object.fromEntries(core) });
  const migrations = { core: 'core', tenants: 'tenants', plugins: 'plugins', seeds: 'seeds' };
  const content = { central: fleet.config.central, migrations };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  const mpm = (...args: string[]) => cli(args, { cwd: fleet.config.root });
  return { fleet, mpm };
}

const PRISMA = {
  'migration_lock.toml': 'provider = "postgresql"\n',
  '20230101000000_a/migration.sql': 'create table a (id int);\n',
  '20230101000000_b/migration.sql': 'create table b (id int);\n',
};

const tables = async (fleet: TestFleet, index = 0) => {
  const rows = await fleet.of<{ name: string }>(
    fleet.tenants[index],
    "select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1",
  );
  return rows.map(({ name }) => name);
};

describe('histories 1: migrations in folders', () => {
  test('are planned, applied, and named by plan and doctor', async () => {
    const { fleet, mpm } = await fleetWith({ ...PRISMA, '20240101000000_ours.sql': 'create table c ();' }, 2);
    const plan = await mpm('plan', '--all');
    expect(plan.stdout).toContain('The core folder holds NAME/migration.sql (Prisma), NAME.sql\n');
    const { layout, groups } = JSON.parse((await mpm('plan', '--all', '--json')).stdout) as PlanReport;
    expect(layout).toBe('NAME/migration.sql (Prisma), NAME.sql');
    const names = ['20230101000000_a', '20230101000000_b', '20240101000000_ours'];
    expect(groups[0]?.pending).toEqual(names);
    expect((await mpm('up', '--all')).code).toBe(0);
    expect(await fleet.historyOf(fleet.tenants[1])).toEqual(names);
    expect(await tables(fleet, 1)).toEqual(['a', 'b', 'c']);
    expect((await mpm('up', '--all', '--fast')).stdout).toContain('2 current');
    await fleet.write({
      'plugins/meters/30000101000000_m/migration.sql': '',
      'plugins/meters/README.md': '',
      'seeds/rows.csv': '',
      'seeds/1_s.sql': 'select 1;',
    });
    const { findings } = JSON.parse((await mpm('doctor', '--json')).stdout) as DoctorReport;
    expect(findings.filter(({ about }) => about === 'files').map(({ message }) => message)).toEqual([
      'core migrations: 3 (NAME/migration.sql (Prisma), NAME.sql), seeds: 1',
      "in the core folder, and not a migration: migration_lock.toml (Prisma's lock file)",
      'not run, although in the seeds folder: rows.csv (of no kind that migrations have)',
      'in the folder of plugin meters, and not a migration: README.md (documentation)',
      'plugins: 1',
    ]);
  });

  test('a name of 300 characters is one like any other', async () => {
    const [folder, file] = [`1${'x'.repeat(150)}`, `2${'y'.repeat(150)}`];
    const { fleet, mpm } = await fleetWith({ [`${folder}/${file}.sql`]: 'create table a ();' });
    expect((await mpm('up', '--all')).code).toBe(0);
    expect(await fleet.historyOf(fleet.tenants[0])).toEqual([`${folder}/${file}`]);
  });

  test('an error in one is shown with its folder', async () => {
    const { mpm } = await fleetWith({ '1_a/migration.sql': 'select 1;\nselect * from nowhere;\n' });
    const { stdout } = await mpm('up', '--all');
    expect(stdout).toContain('core/1_a/migration.sql:2:15');
  });

  test("a tenant's own folder holds them as well", async () => {
    const { fleet, mpm } = await fleetWith(PRISMA);
    const own = `tenants/${fleet.tenants[0]?.database}`;
    await fleet.write({ [`${own}/20230101000000_a/migration.sql`]: 'create table mine ();' });
    expect((await mpm('up', '--all')).code).toBe(4);
    expect(await tables(fleet)).toEqual(['mine']);
  });
});

describe('histories 2: nothing is passed over in silence', () => {
  test('a core folder without a migration is refused, and no tenant is up to date', async () => {
    const { fleet, mpm } = await fleetWith({ 'migrations/1_a/migration.sql': 'select 1;' });
    for (const command of ['up', 'plan', 'status']) {
      const { code, stderr } = await mpm(command, '--all');
      expect({ command, code }).toEqual({ command, code: 1 });
      expect(stderr).toContain(
        `no migration is in ${join(fleet.config.root, 'core')}, only migrations/ (a folder without a number)`,
      );
      expect(stderr).toContain('if migrations/ holds the migrations (NAME/migration.sql or NAME/up.sql)');
    }
    const doctor = await mpm('doctor');
    expect(doctor.stdout).toContain('no migration is in ');
    expect(await tables(fleet)).toEqual([]);
  });

  test('what is for another tool or database is refused before anything is applied', async () => {
    const { fleet, mpm } = await fleetWith({ '1_a/migration.sql': 'select 1;' });
    await fleet.write({
      'core/migration_lock.toml': 'provider = "mysql"',
      'core/V1__a.sql': "select '${schema}';",
      'core/R__view.sql': 'select 1;',
      'core/1_a.sql': 'select 2;',
    });
    const { code, stderr } = await mpm('up', '--all');
    expect(code).toBe(1);
    for (const said of [
      'these migrations are for mysql',
      '${schema} is a placeholder',
      'R__view.sql is a repeatable migration',
      '1_a.sql and 1_a/migration.sql have the same name',
    ])
      expect(stderr).toContain(said);
    expect(await tables(fleet)).toEqual([]);
  });
});

describe("histories 6: another tool's migration", () => {
  const FILES = {
    ...PRISMA,
    '20230102000000_data/migration.ts': "throw new Error('loaded');\n",
    '20230103000000_c.sql': 'create table c (id int);',
  };
  const FOREIGN = '20230102000000_data/migration.ts (TypeScript or JavaScript)';

  test('refuses the tenant that would run it, also with --force, and nothing is applied', async () => {
    const { fleet, mpm } = await fleetWith(FILES);
    for (const more of [[], ['--force']]) {
      const { code, stdout } = await mpm('up', '--tenant', '1', ...more);
      expect(code).toBe(3);
      expect(stdout).toContain(`${FOREIGN}: a migration of another tool, which can't be run here`);
      expect(stdout).toContain(
        'write the same change as SQL beside it, 20230102000000_data/migration.sql: it runs in its place',
      );
      expect(stdout).toContain('mpm-migrate baseline --tenant 1 --to 20230102000000_data --write');
    }
    expect(await tables(fleet)).toEqual([]);
    expect((await mpm('plan', '--all')).stdout).toContain(FOREIGN);
    const { stdout } = await mpm('doctor');
    expect(stdout).toContain('"20230102000000_data": TypeScript or JavaScript');
  });

  test('is in the way of nobody before it, or who has it', async () => {
    const { fleet, mpm } = await fleetWith(FILES, 2);
    expect((await mpm('up', '--tenant', '1', '--to', '20230101000000_b')).code).toBe(0);
    expect(await tables(fleet)).toEqual(['a', 'b']);
    expect((await mpm('baseline', '--tenant', '1', '--to', '20230102000000_data', '--write')).code).toBe(0);
    expect((await mpm('up', '--tenant', '1')).code).toBe(0);
    expect(await tables(fleet)).toEqual(['a', 'b', 'c']);

    // What is written as SQL is run by those who lack it, and is the same to those who have it.
    await writeFile(
      join(fleet.config.root, 'core/20230102000000_data/migration.sql'),
      'create table data (id int);',
    );
    expect((await mpm('up', '--all')).stdout).toContain('1 migrated');
    expect([await tables(fleet), await tables(fleet, 1)]).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b', 'c', 'data'],
    ]);
    expect((await mpm('status', '--all')).stdout).toContain('2 current');
  });
});
