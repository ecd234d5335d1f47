import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ModuleWatch } from '../../src/migration/module-process.ts';
import type { MpmError } from '../../src/errors.ts';
import { withDatabases } from '../helpers/database.ts';
import { down, historyOf, migrations, rowsIn, up, withFolders } from '../helpers/engine.ts';

withFolders();
const databases = withDatabases();

let made: Promise<{ url: string }> | undefined;
/** The file's one database, empty again. */
async function emptyDatabase(): Promise<string> {
  const { url } = await (made ??= databases.create());
  await rowsIn(
    url,
    'drop schema if exists mpm_migrate cascade; drop schema public cascade; create schema public',
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

  test('the place is the line where it was begun', async () => {
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
