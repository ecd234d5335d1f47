import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { ModuleWatch } from '../../src/engine/module/module-process.ts';
import type { MpmError } from '../../src/errors.ts';
import { withDatabases } from '../helpers/database.ts';
import { readMigrations } from '../../src/engine/source/source.ts';
import { down, folderOf, historyOf, migrations, rowsIn, up, withFolders } from '../helpers/engine.ts';

withFolders();
const databases = withDatabases();

let made: Promise<{ url: string }> | undefined;
/** The file's one database, empty again. */
async function emptyDatabase(): Promise<string> {
  const { url } = await (made ??= databases.create());
  await rowsIn(
    url,
    `drop schema if exists mpm_migrate cascade; drop schema public cascade; create schema public;
     do $$ begin execute format('comment on database %I is null', current_database()); end $$`,
  );
  return url;
}
const IMPORT = `import { sql, type Kysely } from 'kysely';\n`;

/** Applies one module named like `1_x.ts` in a database of its own. */
async function apply(text: string, file = '1_x.ts') {
  const url = await emptyDatabase();
  const set = await migrations({
    [file]: file.endsWith('.ts') || file.endsWith('.mts') ? IMPORT + text : text,
  });
  const attempt = await up(url, set);
  return { url, set, attempt, error: attempt.error, history: await historyOf(url) };
}

async function tablesIn(url: string): Promise<string[]> {
  const rows = await rowsIn<{ name: string }>(
    url,
    "select tablename as name from pg_tables where schemaname = 'public' order by 1",
  );
  return rows.map(({ name }) => name);
}

describe('engine 51: a statement that was not awaited', () => {
  const missed: Record<string, string> = {
    'the only one': `export function up(db: Kysely<any>) { db.schema.createTable('xx').addColumn('id', 'integer').execute(); }`,
    'the last of two': `export async function up(db: Kysely<any>) {
  await db.schema.createTable('aa').addColumn('id', 'integer').execute();
  db.schema.createTable('xx').addColumn('id', 'integer').execute();
}`,
    'an sql text': 'export async function up(db: Kysely<any>) { sql`create table xx(id int)`.execute(db); }',
    'a slow one':
      'export async function up(db: Kysely<any>) { sql`select pg_sleep(0.2)`.execute(db).then(() => sql`create table xx(id int)`.execute(db)); }',
    'one in a loop': `export async function up(db: Kysely<any>) { [1, 2].forEach(async (n) => { await db.schema.createTable('x' + n).execute(); }); }`,
    'begun in time, continued later':
      'export async function up(db: Kysely<any>) { (async () => { await sql`select 1`.execute(db); await sql`create table xx(id int)`.execute(db); })(); await sql`select 1`.execute(db); }',
    'one that fails': 'export async function up(db: Kysely<any>) { sql`select 1 / 0`.execute(db); }',
    'one that fails, before one that is awaited':
      'export async function up(db: Kysely<any>) { sql`select 1 / 0`.execute(db); await sql`create table xx(id int)`.execute(db); }',
  };
  for (const transaction of [true, false]) {
    for (const [what, text] of Object.entries(missed)) {
      test(`${what}, ${transaction ? 'in' : 'outside'} a transaction`, async () => {
        const config = transaction ? '' : `\nexport const config = { transaction: false };`;
        const { url, attempt, error, history } = await apply(text + config);
        expect(error?.message).toMatch(/^a statement was not awaited/);
        expect(error?.excerpt).toMatchObject({ file: expect.stringContaining('1_x.ts') });
        expect(attempt.applied).toEqual([]);
        expect(history).toEqual(transaction ? [] : ['1_x failed']);
        if (transaction) expect(await tablesIn(url)).toEqual([]);
      });
    }
  }

  test('the place is the line where it was started', async () => {
    const { error } = await apply(missed['the last of two'] ?? '');
    expect(error).toMatchObject({
      code: 'MIGRATION_FAILED',
      message: "a statement was not awaited: schema.createTable('xx')",
      migration: '1_x',
      aftermath: 'the migration was rolled back',
      excerpt: { line: 4 },
    });
  });

  test('in down', async () => {
    const { url, set } =
      await apply(`export async function up(db: Kysely<any>) { await db.schema.createTable('aa').execute(); }
export async function down(db: Kysely<any>) { db.schema.dropTable('aa').execute(); }`);
    const { error } = await down(url, set);
    expect(error?.message).toBe("a statement was not awaited: schema.dropTable('aa')");
    expect(await tablesIn(url)).toEqual(['aa']);
    expect(await historyOf(url)).toEqual(['1_x applied']);
  });

  test.each(['1_x.js', '1_x.cjs', '1_x.mjs', '1_x.mts'])('in %s', async (file) => {
    const exported = /\.[cm]?ts$|mjs$/.test(file) ? 'export const up =' : 'exports.up =';
    const { error } = await apply(`${exported} (db) => { db.schema.createTable('xx').execute(); };`, file);
    expect(error?.message).toBe("a statement was not awaited: schema.createTable('xx')");
    expect(error?.excerpt?.file).toContain(file);
  });

  test('after a long timer, it is refused, and is an error of the run', async () => {
    const late: MpmError[] = [];
    const watch = new ModuleWatch((error) => late.push(error));
    const url = await emptyDatabase();
    const set = await migrations({
      '1_x.ts': `${IMPORT}export async function up(db: Kysely<any>) {
  setTimeout(async () => { await db.schema.createTable('late').execute(); }, 50);
  await db.schema.createTable('aa').execute();
}`,
    });
    const { error } = await up(url, set, { modules: watch });
    expect(error).toBeUndefined();
    while (late.length === 0) await sleep(10);
    expect(late[0]).toMatchObject({ code: 'MIGRATION_LATE', migration: '1_x' });
    expect(late[0]?.message).toContain('a statement was not awaited');
    expect(await tablesIn(url)).toEqual(['aa']);
    watch.end();
  });

  test('a long query that nobody awaits is part of its migration to its end', async () => {
    const { error, url } = await apply(
      'export async function up(db: Kysely<any>) { sql`select pg_sleep(1)`.execute(db); await null; }',
    );
    expect(error?.message).toBe('a statement was not awaited: sql`select pg_sleep(1)`');
    expect(
      await rowsIn(
        url,
        "select 1 from pg_stat_activity where query like '%pg_sleep(1)' and pid <> pg_backend_pid()",
      ),
    ).toEqual([]);
  });
});

describe('engine 52: what a module does to the process', () => {
  const now = () =>
    ['exit', 'kill', 'chdir', 'abort', 'emit'].map((key) => Object.getOwnPropertyDescriptor(process, key));
  let before: ReturnType<typeof now>;
  beforeAll(async () => {
    // What is loaded with the first migration replaces some for good: graceful-fs does.
    await apply('export async function up() {}');
    before = now();
  });
  afterEach(() => {
    if (!isDeepStrictEqual(now(), before)) throw new Error('something of process stayed replaced');
  });

  test.each([
    ['process.exit(0)', 'process.exit(0)'],
    ['process.reallyExit(0)', '(process as any).reallyExit(0)'],
    ['process.exit()', "const { exit } = await import('node:process'); exit()"],
    ['process.exit(1)', 'try { process.exit(1) } catch {}'],
    ['process.abort()', 'process.abort()'],
    ['process.kill()', "process.kill(process.pid, 'SIGKILL')"],
    [
      'process.exit(3)',
      'setTimeout(() => process.exit(3), 1); await new Promise((done) => setTimeout(done, 30))',
    ],
  ])('%s fails its tenant, which is told so: %s', async (what, act) => {
    const { error, history } = await apply(`export async function up(db: Kysely<any>) {
  await db.schema.createTable('aa').execute();
  ${act};
}`);
    expect(error?.message).toContain(what);
    expect(error).toMatchObject({
      code: 'MIGRATION_FAILED',
      migration: '1_x',
      hint: expect.stringContaining('throwing'),
    });
    expect(history).toEqual([]);
  });

  test('process.exit while it is imported is an error of the file', async () => {
    await expect(
      migrations({ '1_x.ts': `process.exit(0);\nexport async function up() {}` }),
    ).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
      message: expect.stringContaining('process.exit(0)'),
      excerpt: { line: 1 },
    });
    await expect(
      migrations({ '1_x.ts': `Promise.reject(new Error('stray'));\nexport async function up() {}` }),
    ).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
      message: expect.stringContaining('stray'),
    });
  });

  test.each([
    ['a rejection', "Promise.reject(new Error('stray'))"],
    [
      'a rejection in a timer',
      "setTimeout(() => Promise.reject(new Error('stray')), 1); await new Promise((done) => setTimeout(done, 30))",
    ],
    [
      'an exception in a timer',
      "setTimeout(() => { throw new Error('stray') }, 1); await new Promise((done) => setTimeout(done, 30))",
    ],
    [
      'an emitter without a listener',
      "const { EventEmitter } = await import('node:events'); setTimeout(() => new EventEmitter().emit('error', new Error('stray')), 1); await new Promise((done) => setTimeout(done, 30))",
    ],
  ])('%s that nobody caught fails it', async (_, act) => {
    const { error, history } = await apply(`export async function up(db: Kysely<any>) {
  await db.schema.createTable('aa').execute();
  ${act};
}`);
    expect(error?.message).toMatch(/(rejected|not caught): stray$/);
    expect(error).toMatchObject({
      code: 'MIGRATION_FAILED',
      aftermath: 'the migration was rolled back',
      excerpt: { line: 4 },
    });
    expect(history).toEqual([]);
  });

  test("an application's own errors go on to the application", async () => {
    const url = await emptyDatabase();
    const set = await migrations({
      '1_x.ts': `${IMPORT}export async function up(db: Kysely<any>) { await sql\`select pg_sleep(0.3)\`.execute(db); }`,
    });
    const seen: unknown[] = [];
    const listener = (error: unknown): void => void seen.push(error);
    const listeners = process.rawListeners('unhandledRejection') as NodeJS.UnhandledRejectionListener[];
    process.removeAllListeners('unhandledRejection').on('unhandledRejection', listener);
    try {
      const running = up(url, set);
      await sleep(100);
      const ours = new Error('the application');
      void Promise.reject(ours);
      await sleep(10);
      expect((await running).error).toBeUndefined();
      expect(seen).toEqual([ours]);
    } finally {
      process.off('unhandledRejection', listener);
      for (const each of listeners) process.on('unhandledRejection', each);
    }
  });

  test('another folder is left again, a changed environment and exit code are told', async () => {
    const folder = process.cwd();
    const { attempt, error } = await apply(`import { readdirSync } from 'node:fs';
export async function up(db: Kysely<any>) {
  process.chdir('/');
  if (!readdirSync('.').includes('etc')) throw new Error('elsewhere');
  process.env.MPM_TEST_MODULE = 'secret';
  process.exitCode = 7;
  await sql\`select 1\`.execute(db);
}`);
    const { exitCode } = process;
    process.exitCode = undefined;
    vi.stubEnv('MPM_TEST_MODULE', undefined);
    expect(error).toBeUndefined();
    expect(process.cwd()).toBe(folder);
    // In a library, it may have been the application.
    expect(exitCode).toBe(7);
    expect(attempt.notices).toEqual([
      '1_x changed the environment of the process: MPM_TEST_MODULE',
      '1_x set process.exitCode',
    ]);
  });
});

describe('engine 55: a module that does nothing', () => {
  test.each([
    ["schema.createTable('xx') was started", "db.schema.createTable('xx').addColumn('id', 'integer')"],
    ["schema.alterTable('xx') was started", "db.schema.alterTable('xx')"],
    ["insertInto('xx') was started", "db.insertInto('xx').values({ id: 1 })"],
    ["with('a') was started", "db.with('a', (q) => q.selectFrom('xx').selectAll())"],
    ['sql`create table xx(id int)` was started', 'sql`create table xx(id int)`'],
    [
      'sql`/* first */ create table …(id int)` was started',
      "sql`/* first */ create table ${sql.ref('xx')}(id int)`",
    ],
    ["sql.raw('drop table xx') was started", "sql.raw('drop table xx')"],
    ["schema.createTable('xx') was started", "db.withSchema('public').schema.createTable('xx').compile()"],
    [
      "updateTable('xx') was started",
      "await sql`select 1`.execute(db); if (1 > 2) await db.updateTable('xx').execute(); db.updateTable('xx').set({ a: sql`now()` })",
    ],
    [
      "deleteFrom('xx') was started",
      "await db.connection().execute(async (own) => { own.deleteFrom('xx') })",
    ],
  ])('%s but never executed: %s', async (what, act) => {
    const { error, history } = await apply(`export async function up(db: Kysely<any>) {\n  ${act};\n}`);
    expect(error).toMatchObject({
      code: 'MIGRATION_FAILED',
      message: `${what} but never executed`,
      excerpt: { line: 3 },
    });
    expect(history).toEqual([]);
  });

  test.each([
    [
      "exports.up = (db) => db.schema.createTable('users', (table) => table.increments());",
      'schema.createTable with a function',
    ],
    [
      "exports.up = async (db) => { try { await db.schema.createTable('users', (table) => {}); } catch {} };",
      'schema.createTable with a function',
    ],
    ["exports.up = (db) => db.raw('select 1');", 'Kysely has no raw'],
    ["exports.up = (db) => db.schema.hasTable('users');", 'Kysely has no schema.hasTable'],
    ["exports.up = (db) => db('users').insert({ id: 1 });", 'Kysely is not a function'],
    ["exports.up = async ({ context: db }) => db.createTable('users', {});", 'Kysely has no context'],
    ["exports.up = (db) => { db.createTable('users', { id: 'id' }); };", 'Kysely has no createTable'],
  ])("another tool's: %s", async (text, what) => {
    const { error, history } = await apply(text, '1_x.cjs');
    expect(error?.code).toBe('MIGRATION_FAILED');
    expect(`${error?.message}\n${error?.hint}`).toContain(what);
    expect(history).toEqual([]);
  });

  test('one that sends nothing is applied, and told', async () => {
    const { attempt, history } = await apply('export async function up(db: Kysely<any>) {}');
    expect(attempt.notices).toEqual(['1_x sent nothing to the database']);
    expect(history).toEqual(['1_x applied']);
    const other = await apply(
      'export async function up(db: Kysely<any>) { await sql`select 1`.execute(db); }',
    );
    expect(other.attempt.notices).toEqual([]);
  });

  test('an unedited template of create is refused by its name', async () => {
    const url = await emptyDatabase();
    const templates = join(import.meta.dirname, '../../templates/create');
    const template = (kind: string): string => readFileSync(join(templates, `migration.${kind}`), 'utf8');
    const set = await migrations({
      '1_a.sql': 'create table a (id int);',
      '2_b.ts': template('ts').replaceAll('\n', '\r\n'),
      '3_c.sql': `\uFEFF${template('sql')}\n`,
      '4_d.sql': template('sql').replace('-- alter', 'alter'),
    });
    const { error, outcome } = await up(url, set);
    expect(outcome).toBe('refused');
    expect(error).toMatchObject({
      code: 'PLAN_REFUSED',
      message: '2_b and 3_c: unedited templates of `mpm-migrate create`',
      aftermath: 'nothing was changed here',
    });
    expect((await up(url, set, { force: true })).outcome).toBe('refused');
    expect(await historyOf(url)).toEqual([]);
    expect((await up(url, set, { to: '1' })).applied).toMatchObject([{ name: '1_a' }]);
  });

  test('is not said of what Kysely histories do', async () => {
    const { attempt, error, url } = await apply(IDIOMS);
    expect(error).toBeUndefined();
    expect(attempt.notices).toEqual([]);
    expect(await rowsIn(url, 'select id, name from people order by id')).toEqual([
      { id: 1, name: 'Ada' },
      { id: 2, name: 'Grace' },
      { id: 3, name: 'Alan' },
    ]);
  });

  test('is not said of transactions outside of one', async () => {
    const { error, url } = await apply(`export const config = { transaction: false };
export async function up(db: Kysely<any>) {
  await db.schema.createTable('t').addColumn('id', 'integer').execute();
  await db.transaction().setIsolationLevel('serializable').execute(async (trx) => {
    await trx.insertInto('t').values({ id: 1 }).execute();
    await sql\`insert into t values (2)\`.execute(trx);
  });
  await db.transaction().execute(async (trx) => { await trx.insertInto('t').values({ id: 9 }).execute(); throw new Error('back'); }).catch(() => undefined);
  const trx = await db.startTransaction().execute();
  await trx.insertInto('t').values({ id: 3 }).execute();
  const after = await trx.savepoint('s').execute();
  await after.insertInto('t').values({ id: 8 }).execute();
  await after.rollbackToSavepoint('s').execute();
  await trx.commit().execute();
  await db.connection().execute(async (own) => { await own.schema.createIndex('t_id').on('t').column('id').execute(); });
  await sql\`create index concurrently t_2 on t (id)\`.execute(db);
}`);
    expect(error).toBeUndefined();
    expect(await rowsIn(url, 'select id from t order by id')).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });
});

/** What public histories of Kysely do, as far as it could be taken for a statement that was forgotten. */
const IDIOMS = `import { CamelCasePlugin, CompiledQuery, Kysely as K, PostgresDialect, RawBuilder, expressionBuilder } from 'kysely';
const now = sql\`now()\`;
const addTimestamps = (builder: any) => builder.addColumn('created_at', 'timestamptz', (col: any) => col.notNull().defaultTo(now)).addColumn('updated_at', 'timestamptz', (col: any) => col.defaultTo(sql\`CURRENT_TIMESTAMP\`));
export async function up(db: Kysely<any>): Promise<void> {
  if (!(db instanceof K)) throw new Error('no Kysely');
  const fragments = { uuid: sql\`gen_random_uuid()\`, never: sql\`now() + interval '1 day'\` };
  let builder = db.schema.createTable('people').ifNotExists();
  builder = builder.addColumn('id', 'integer', (col) => col.primaryKey());
  builder = builder.addColumn('name', 'text', (col) => col.notNull().check(sql\`name <> ''\`)).addColumn('uid', 'uuid', (col) => col.defaultTo(fragments.uuid));
  await builder.$call(addTimestamps).modifyEnd(sql\`with (fillfactor = 90)\`).execute();
  const tables = await db.introspection.getTables();
  if (!tables.some(({ name }) => name === 'jobs')) await db.schema.createTable('jobs').addColumn('id', 'integer').addColumn('person_id', 'integer', (c) => c.references('people.id').onDelete('cascade')).execute();
  for (const column of ['a', 'b']) await db.schema.alterTable('jobs').addColumn(column, sql\`numeric(10, 2)\`).execute();
  await db.schema.alterTable('jobs').alterColumn('a', (c) => c.setDefault(sql\`0\`)).execute();
  await db.schema.createType('mood').asEnum(['sad', 'ok']).execute();
  await db.schema.createIndex('jobs_a').on('jobs').expression(sql\`coalesce(a, 0)\`).where('a', 'is not', null).execute();
  await db.insertInto('people').values([{ id: 1, name: 'Ada' }, { id: 2, name: sql\`'Grace'\` }]).onConflict((oc) => oc.column('id').doNothing()).execute();
  const query = db.insertInto('people').values({ id: 3, name: 'Al' }).compile();
  await db.executeQuery(query);
  await db.executeQuery(CompiledQuery.raw("update people set name = 'Alan' where id = 3"));
  await db.executeQuery(db.selectFrom('people').selectAll());
  const inner = db.selectFrom('people').select('id').where('id', '>', 1);
  const view = db.selectFrom('people').select(['id', 'name']).where('id', 'in', inner);
  await db.schema.createView('later').orReplace().as(view.where(sql\`id > 0\` as any)).execute();
  const text = db.selectFrom('people').select('id').compile().sql;
  await sql.raw(\`create view raw_view as \${text}\`).execute(db);
  await sql\`create materialized view m as \${db.selectFrom('people').selectAll()}\`.execute(db);
  await db.schema.refreshMaterializedView('m').execute();
  await db.with('adults', (q) => q.selectFrom('people').selectAll()).selectFrom('adults').selectAll().execute();
  await db.withRecursive('r(n)', (q) => q.selectNoFrom(sql<number>\`1\`.as('n')).unionAll(q.selectFrom('r').select(sql<number>\`n + 1\`.as('n')).where('n', '<', 3))).selectFrom('r').selectAll().execute();
  const { count } = db.fn;
  await db.selectFrom('people').select([count('id').as('n'), db.fn.max('id').as('m'), db.case().when(sql<boolean>\`true\`).then(1).else(2).end().as('c')]).executeTakeFirstOrThrow();
  await db.selectFrom('people as p').select((eb) => ['p.id', eb.selectFrom('jobs').select((b: any) => b.fn.count('jobs.id').as('n')).whereRef('jobs.person_id', '=', 'p.id').as('jobs')]).execute();
  const { ref } = db.dynamic;
  await db.selectFrom('people').select(ref('people.id') as any).$if(true, (q) => q.where('id', '=', 1)).execute();
  const seen: unknown[] = [];
  for await (const row of db.selectFrom('people').selectAll().stream()) seen.push(row);
  if (seen.length !== 3) throw new Error('stream: ' + seen.length);
  await db.withSchema('public').updateTable('people').set({ updated_at: now }).where('id', '=', 1).execute();
  const camel = db.withPlugin(new CamelCasePlugin());
  const first = await camel.selectFrom('people').select('createdAt' as any).executeTakeFirst() as any;
  if (!(first.createdAt instanceof Date)) throw new Error('camel');
  await db.withoutPlugins().selectFrom('people').selectAll().execute();
  await camel.withTables<any>().schema.withSchema('public').createTable('camelTable').addColumn('someId', 'integer').execute();
  await Promise.all([1, 2, 3].map((id) => db.selectFrom('people').selectAll().where('id', '=', id).execute()));
  const eb = expressionBuilder<any, any>();
  await db.selectFrom('people').selectAll().where(eb('id', '=', 1)).union(db.selectFrom('people').selectAll()).execute();
  await db.deleteFrom('jobs').where('id', 'in', db.selectFrom('people').select('id')).execute();
  await sql\`do $$ begin perform 1; end $$\`.execute(db);
  await sql\`savepoint one\`.execute(db);
  await sql\`select \${sql.join([1, 2].map((n) => sql.lit(n)))}, \${sql.ref('id')} from \${sql.table('people')} where id = any(\${[1, 2]})\`.execute(db);
  const plain: RawBuilder<unknown> = sql\`select 1 as one\`.$castTo<any>();
  await plain.withPlugin(new CamelCasePlugin()).execute(db);
  await db.selectFrom(sql<any>\`generate_series(1, 2)\`.as('g')).selectAll().execute();
  await db.selectFrom(db.selectFrom('people').selectAll().as('q')).selectAll().explain();
}`;

describe('engine 54: paths of tsconfig.json', () => {
  test('hold in migrations and in what they import, also where they are inherited', async () => {
    const root = await folderOf({
      'tsconfig.base.json': '{ "compilerOptions": { "baseUrl": ".", "paths": { "@/*": ["./lib/*"] } } }',
      'tsconfig.json': '{\n  // the project\n  "extends": "./tsconfig.base.json",\n}',
    });
    await mkdir(join(root, 'lib/deep'), { recursive: true });
    await mkdir(join(root, 'migrations'));
    await writeFile(join(root, 'lib/names.ts'), `export { deep as table } from '@/deep/deep';`);
    await writeFile(join(root, 'lib/deep/deep.ts'), `export const deep: string = 'from_alias';`);
    const file = join(root, 'migrations/1_x.ts');
    await writeFile(
      file,
      `import { table } from '@/names';\nexport const up = (db: any) => db.schema.createTable(table).execute();`,
    );
    const url = await emptyDatabase();
    const { error } = await up(url, await readMigrations(join(root, 'migrations'), 'core'));
    expect(error).toBeUndefined();
    expect(await tablesIn(url)).toEqual(['from_alias']);
  });

  test('what they do not resolve is an error that says which ones hold', async () => {
    const wrong = migrations({
      '1_x.ts': `import { a } from '@/nowhere';\nexport const up = async () => a;`,
    });
    await expect(wrong).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
      message: expect.stringContaining("Cannot find module '@/nowhere'"),
      hint: expect.stringContaining('the nearest tsconfig.json'),
    });
    const broken = migrations({
      '1_x.ts': 'export const up = async () => 1;',
      'tsconfig.json': '{ "extends": "./gone.json" }',
    });
    await expect(broken).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
      message: expect.stringMatching(/tsconfig\.json.*gone\.json/),
    });
  });
});
