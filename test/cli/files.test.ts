import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cli, type CliResult, startCli } from '../helpers/cli.ts';
import { testServer, withDatabases } from '../helpers/database.ts';

const databases = withDatabases();
const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'mpm-cli-files-'));
  folders.push(folder);
  return folder;
}

const files = async (folder: string) =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) =>
      path.relative(folder, path.join(entry.parentPath, entry.name)).replace(/\d{14}/, '<version>'),
    )
    .toSorted();

describe('init and create', () => {
  let cwd: string;
  beforeEach(async () => {
    cwd = await newFolder();
  });
  const run = (...args: string[]): Promise<CliResult> => cli(args, { cwd });

  test('init writes configuration, folders and a first migration, and says what to do next', async () => {
    const { code, stdout, stderr } = await run('init');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.replace(/\d{14}/, '<version>')).toBe(`✔ mpm-migrate.config.ts
✔ migrations/core/<version>_customers.sql
✔ migrations/central/.gitkeep
✔ migrations/tenants/.gitkeep

Set central.url in mpm-migrate.config.ts, or MPM_CENTRAL_URL. Then:
  mpm-migrate central up                creates the central database and its tables
  mpm-migrate tenant create "Acme Ltd"  creates a tenant and its database
  mpm-migrate create add_meters         creates the next migration
  mpm-migrate up --all                  applies pending migrations to every tenant
`);
    expect(await files(cwd)).toEqual([
      'migrations/central/.gitkeep',
      'migrations/core/<version>_customers.sql',
      'migrations/tenants/.gitkeep',
      'mpm-migrate.config.ts',
    ]);
  });

  test('histories 1: init in a Prisma project says what it found, and has it as core', async () => {
    const migration = 'prisma/migrations/20230101000000_init/migration.sql';
    await mkdir(path.join(cwd, path.dirname(migration)), { recursive: true });
    await mkdir(path.join(cwd, 'db/migrations'), { recursive: true });
    await writeFile(path.join(cwd, 'prisma/schema.prisma'), 'model Meter {}');
    await writeFile(path.join(cwd, 'prisma/migrations/migration_lock.toml'), 'provider = "postgresql"');
    await writeFile(path.join(cwd, migration), 'create table meters (id int);');
    await writeFile(path.join(cwd, 'db/migrations/1_a.sql'), '-- +goose Up\nselect 1;');
    const { code, stdout, stderr } = await run('init');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout)
      .toBe(`✔ Found 1 migration of Prisma in prisma/migrations (prisma/schema.prisma): core, as it lies
    NAME/migration.sql (Prisma)
✔ mpm-migrate.config.ts
✔ migrations/central/.gitkeep
✔ migrations/tenants/.gitkeep
▲ Also found 1 migration of goose in db/migrations. To use that folder instead, set migrations.core to 'db/migrations' in mpm-migrate.config.ts

Set central.url in mpm-migrate.config.ts, or MPM_CENTRAL_URL. Then:
  mpm-migrate doctor                                   reads the files, and names what can't be run
  mpm-migrate central up                               creates the central database and its tables
  mpm-migrate tenant adopt "Acme Ltd" --database acme  registers a database that exists
  mpm-migrate baseline --all --from prisma             shows what Prisma has applied there; --write records it
  mpm-migrate tenant create "Acme Ltd"                 creates a tenant and its database
  mpm-migrate up --all                                 applies pending migrations to every tenant
`);
    const { stdout: found } = await run('doctor', '--json');
    expect(found).toContain('core migrations: 1');
  });

  test('init overwrites nothing', async () => {
    await writeFile(path.join(cwd, 'mpm-migrate.config.json'), '{}');
    const { code, stdout, stderr } = await run('init');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('mpm-migrate.config.json');
    expect(await files(cwd)).toEqual(['mpm-migrate.config.json']);

    await rm(path.join(cwd, 'mpm-migrate.config.json'));
    await mkdir(path.join(cwd, 'migrations/core'), { recursive: true });
    await writeFile(path.join(cwd, 'migrations/core/1_mine.sql'), 'select 1;');
    expect((await run('init')).code).toBe(0);
    expect((await files(cwd)).filter((file) => file.includes('core'))).toEqual([
      'migrations/core/1_mine.sql',
    ]);
  });

  test('create prints the path alone, and each version is later than the last', async () => {
    await run('init');
    const [ts, sql, central] = [
      await run('create', 'add meters'),
      await run('create', 'Add-tariffs_2', '--sql'),
      await run('create', 'add_meters', '--central'),
    ].map(({ stdout, stderr, code }) => {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return stdout;
    });
    expect(ts).toMatch(/^migrations\/core\/\d{14}_add_meters\.ts\n$/);
    expect(sql).toMatch(/^migrations\/core\/\d{14}_Add-tariffs_2\.sql\n$/);
    expect(central).toMatch(/^migrations\/central\/\d{14}_add_meters\.ts\n$/);
    const versions = (await readdir(path.join(cwd, 'migrations/core'))).map((file) => file.slice(0, 14));
    expect(new Set(versions).size).toBe(3);
    expect(await readFile(path.join(cwd, ts?.trim() ?? ''), 'utf8')).toContain(
      'export async function up(db: Kysely<any>)',
    );
    expect(await readFile(path.join(cwd, sql?.trim() ?? ''), 'utf8')).toContain('-- migrate:down');
  });

  test('fleet 55: several at once get a number each', async () => {
    await run('init');
    const made = await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => run('create', name, '--sql')),
    );
    const versions = made.map(({ stdout }) => /\d{14}/.exec(stdout)?.[0]);
    expect(new Set(versions).size).toBe(6);
    expect(await files(path.join(cwd, 'migrations/core'))).toHaveLength(7);
  });

  test('a migration after one from the future is still the last', async () => {
    await run('init');
    const core = path.join(cwd, 'migrations/core');
    await writeFile(path.join(core, '20981231235959_later.sql'), '');
    expect((await run('create', 'next')).stdout).toBe('migrations/core/20990101000000_next.ts\n');
    await writeFile(path.join(core, '20991231235959999_long.up.sql'), '');
    await writeFile(path.join(core, '20991231235959999_long.down.sql'), '');
    expect((await run('create', 'more')).stdout).toBe(
      'migrations/core/20991231235960000_more.up.sql\nmigrations/core/20991231235960000_more.down.sql\n',
    );
  });

  test('templates of the user go before ours', async () => {
    await run('init');
    const templates = path.join(cwd, 'own');
    const env = { MPM_TEMPLATES_FOLDER: 'own' };
    const missing = await cli(['create', 'a'], { cwd, env });
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toContain(templates);
    await mkdir(templates);
    await writeFile(path.join(templates, 'migration.sql'), '-- {{name}} {{slug}} {{version}} {{else}}\n');
    const { stdout } = await cli(['create', 'a', '--sql'], { cwd, env });
    const version = /\d{14}/.exec(stdout)?.[0];
    expect(await readFile(path.join(cwd, stdout.trim()), 'utf8')).toBe(
      `-- ${version}_a a ${version} {{else}}\n`,
    );
    expect((await cli(['create', 'b'], { cwd, env })).code).toBe(0);
  });

  test.each([
    [[''], 2, 'it is empty'],
    [['../x'], 2, 'it contains a path'],
    [['a/b'], 2, 'it contains a path'],
    [['..'], 2, 'it contains a path'],
    [[String.raw`a\b`], 2, 'it contains a path'],
    [['add.meters'], 2, 'only letters, digits, _, and -'],
    [['mètres'], 2, 'only letters, digits, _, and -'],
    [['add_meters.sql'], 2, 'it has an extension'],
    [['a'.repeat(101)], 2, 'longer than 100'],
    [['customers'], 1, '_customers.sql has that name already'],
    [['a', '--central', '--tenant', '1'], 2, '--tenant'],
    [[], 2, 'name'],
  ])('create %j is refused and writes nothing', async (args, code, said) => {
    await run('init');
    const before = await files(cwd);
    const result = await run('create', ...args);
    expect(result).toMatchObject({ code, stdout: '' });
    expect(result.stderr).toContain(said);
    expect(await files(cwd)).toEqual(before);
  });

  test('without a configuration the remedies are named', async () => {
    const { code, stdout, stderr } = await run('create', 'x');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/mpm-migrate init.*MPM_CENTRAL_URL/s);
  });

  test('a configuration with problems shows all of them, and no password', async () => {
    await writeFile(
      path.join(cwd, 'mpm-migrate.config.ts'),
      `export default { central: { url: 'mysql://a:hunter2@b/c' }, paces: {}, history: { schema: 'pg_catalog' } };`,
    );
    const { code, stderr } = await run('create', 'x');
    expect(code).toBe(1);
    expect(stderr).toBe(`✖ mpm-migrate.config.ts has 3 problems
      central.url: isn't a PostgreSQL URL; it must start with postgres:// or postgresql://
      history.schema: is reserved by PostgreSQL
      paces: unknown option; did you mean pace?
    Fix them all, and then run the command again.
`);
  });
});

describe('sync', () => {
  let cwd: string;
  let env: Record<string, string>;
  const { prefix } = databases;
  const run = (...args: string[]): Promise<CliResult> => cli(args, { cwd, env });
  const plain = (text: string) => text.replaceAll(prefix, '').replace(/\d+(\.\d+)?m?s/g, '0s');
  const tenants = (file = '') => path.join(cwd, 'migrations/tenants', file);

  beforeAll(async () => {
    cwd = await newFolder();
    databases.adopt(`${prefix}sync`);
    env = { MPM_CENTRAL_URL: testServer(`${prefix}sync`) };
    await mkdir(path.join(cwd, 'migrations/core'), { recursive: true });
    await writeFile(path.join(cwd, 'migrations/core/1_meters.sql'), 'create table meters (id int);\n');
    await mkdir(path.join(cwd, 'migrations/tenants'), { recursive: true });
    await writeFile(tenants(`${prefix}lumen`), 'in the place of a folder');
    await run('central', 'up');
    await databases.query(
      `insert into companies (id, name) values (1, 'Acme'), (2, 'Kivu'), (3, 'Lumen');
       insert into company_databases (company_id, database_name) values (1, '${prefix}acme'), (2, '${prefix}kivu'), (3, '${prefix}lumen')`,
      `${prefix}sync`,
    );
  });

  test('--check finds, sync copies, a second run changes nothing, a tenant in trouble is alone', async () => {
    const check = await run('sync', '--check');
    expect({ code: check.code, stdout: plain(check.stdout) }).toEqual({
      code: 4,
      stdout: `✖ Lumen
    ${tenants('lumen')} is no folder
    Move it elsewhere: folders of tenants have that place.
✔ 2 without a folder   ✖ 1 not synced   3 tenants, 1 core file, 0s
`,
    });
    expect(await files(cwd)).toEqual(['migrations/core/1_meters.sql', `migrations/tenants/${prefix}lumen`]);

    const first = await run('sync', '--exclude', '3', '--quiet');
    expect({ ...first, stdout: plain(first.stdout) }).toMatchObject({
      code: 0,
      stdout: '✔ 2 folders synced with core (2 copied)   2 tenants, 1 core file, 0s\n',
      stderr: '',
    });
    expect(await readdir(tenants(`${prefix}acme`))).toEqual(['.mpm-migrate.json', '1_meters.sql']);
    const second = await run('sync', '--exclude', '3');
    expect({ code: second.code, stdout: plain(second.stdout) }).toEqual({
      code: 0,
      stdout: '✔ 2 current   2 tenants, 1 core file, 0s\n',
    });
    expect((await run('sync', '--check', '--tenant', '1..2')).code).toBe(0);
    await rm(tenants(`${prefix}acme/1_meters.sql`));
    const lacking = await run('sync', '--check', '--tenant', '1..2');
    expect({ code: lacking.code, stdout: plain(lacking.stdout) }).toEqual({
      code: 4,
      stdout:
        '  Acme  1 to copy\n▲ 1 folder out of date (1 to copy)   1 current   2 tenants, 1 core file, 0s\n',
    });
    expect((await run('sync')).code).toBe(3);
  });

  test('an edited copy is held, with exit code 3; --json is the report', async () => {
    await writeFile(tenants(`${prefix}kivu/1_meters.sql`), 'create table meters (id bigint);\n');
    const { code, stdout } = await run('sync', '--tenant', '1..2', '--json');
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      verb: 'sync',
      tenants: 2,
      copied: 0,
      unchanged: 1,
      held: [{ tenant: { id: '2' }, files: ['1_meters.sql'], error: { code: 'TENANT_FOLDER' } }],
    });
    expect((await run('sync', '--tenant', '2', '--overwrite')).code).toBe(0);
    expect(await readFile(tenants(`${prefix}kivu/1_meters.sql`), 'utf8')).toBe(
      'create table meters (id int);\n',
    );
  });

  test("create --tenant writes into the tenant's own folder, which begins with core", async () => {
    await rm(tenants(`${prefix}kivu`), { recursive: true });
    const { code, stdout, stderr } = await run('create', 'loyalty', '--tenant', 'Kivu', '--sql');
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^migrations/tenants/${prefix}kivu/2_loyalty\\.sql\\n$`));
    expect(stderr).toContain('1 core file was copied');
    expect(await readdir(tenants(`${prefix}kivu`))).toHaveLength(3);
    expect((await run('create', 'x', '--tenant', 'nobody')).code).toBe(2);
    expect((await run('create', 'x', '--tenant', 'Lumen')).stderr).toContain('is no folder');
  });

  test('a missing core folder, no central database, an unknown tenant', async () => {
    const missing = await cli(['sync'], { cwd, env: { ...env, MPM_CORE_FOLDER: 'nope' } });
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toMatch(/nope.*mpm-migrate init/s);
    expect((await run('sync', '--tenant', '99')).code).toBe(2);
    expect((await run('sync', '--all', '--tenant', '1')).code).toBe(2);
  });

  test('killed at any moment, it leaves no file by halves, and the next run goes on', async () => {
    const root = await newFolder();
    const core = path.join(root, 'migrations/core');
    await mkdir(core, { recursive: true });
    const text = `-- ${'x'.repeat(50_000)}\nselect 1;\n`;
    for (let i = 1; i <= 40; i++) await writeFile(path.join(core, `${i}_a.sql`), text);
    await databases.query(
      `insert into companies (id, name) select i, 'K' || i from generate_series(100, 199) i;
       insert into company_databases (company_id, database_name) select i, '${prefix}k' || i from generate_series(100, 199) i`,
      `${prefix}sync`,
    );
    const select = ['sync', '--tenant', '100..199', '--quiet'];
    for (const wait of [150, 300, 450]) {
      const running = await startCli(select, { cwd: root, env });
      while (!existsSync(path.join(root, 'migrations/tenants')) && running.child.exitCode === null)
        await sleep(5);
      await sleep(wait);
      running.child.kill('SIGKILL');
      await running.result;
      for (const file of await files(path.join(root, 'migrations/tenants'))) {
        if (!file.endsWith('.sql')) continue;
        expect((await stat(path.join(root, 'migrations/tenants', file))).size).toBe(text.length);
      }
    }
    expect((await cli(select, { cwd: root, env })).code).toBe(0);
    const left = await files(path.join(root, 'migrations/tenants'));
    expect(left.filter((file) => file.endsWith('.tmp'))).toEqual([]);
    expect(left).toHaveLength(100 * 41);
    expect((await cli(['sync', '--tenant', '100..199', '--check'], { cwd: root, env })).code).toBe(0);
  });
});
