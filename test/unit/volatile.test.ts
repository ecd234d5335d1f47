import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readMigrations } from '../../src/engine/source/source.ts';
import { volatileOnes } from '../../src/engine/sql/volatile.ts';
import { folderOf, withFolders } from '../helpers/engine.ts';

withFolders();

/** What is named of these files, `file: call, call`. */
async function named(files: Record<string, string>): Promise<string[]> {
  const { migrations } = await readMigrations(await folderOf(files), 'core');
  return volatileOnes(migrations).map(({ file, calls }) => `${file}: ${calls.join(', ')}`);
}

/** What is named of one SQL file. */
async function calls(sql: string): Promise<string | undefined> {
  return (await named({ '1_a.sql': sql }))[0]?.slice('1_a.sql: '.length);
}

test.each([
  [`insert into settings values ('jwt_secret', md5(random()::text))`, 'random()'],
  ['insert into a values (gen_random_uuid(), now())', 'gen_random_uuid(), now()'],
  [
    'insert into a values (public.uuid_generate_v4 (), CURRENT_TIMESTAMP)',
    'uuid_generate_v4(), current_timestamp',
  ],
  ['update a set b = clock_timestamp()', 'clock_timestamp()'],
  [`insert into a select nextval('shared')`, 'nextval()'],
  [`insert into a values (current_database())`, 'current_database()'],
  ['with x as (insert into a values (uuidv7()) returning 1) select * from x', 'uuidv7()'],
  ['merge into a using b on true when not matched then insert values (random())', 'random()'],
  ['create table a as select gen_random_uuid() as id', 'gen_random_uuid()'],
  [`do $$ begin insert into a values (random()); end $$`, 'random()'],
  [`do $$ begin execute format('insert into a values (%L)', gen_random_uuid()); end $$`, 'gen_random_uuid()'],
  [
    `create table a (id int, secret text default md5(random()::text)); insert into a (id) values (1)`,
    'the default of a.secret',
  ],
  [
    `create table "A" (id uuid primary key default gen_random_uuid()); insert into "A" default values`,
    'the default of A.id',
  ],
  [
    'create table a (id int); alter table a add key uuid default gen_random_uuid(); insert into a (id) values (1)',
    'the default of a.key',
  ],
  [
    'create table a (id int); alter table a alter id set default random(); insert into a (b) values (1)',
    'the default of a.id',
  ],
  [
    'insert into a values (1); alter table a add column key uuid default gen_random_uuid()',
    'gen_random_uuid()',
  ],
])('fleet 45: named: %s', async (sql, expected) => {
  expect(await calls(sql)).toBe(expected);
});

test.each([
  'create table a (id uuid default gen_random_uuid(), at timestamptz default now())',
  'create table a (id uuid default gen_random_uuid()); insert into a (id) values (null)',
  'create table a (id serial, at timestamptz default now()); insert into a (id) values (1)',
  'alter table a add column key uuid default gen_random_uuid()',
  `insert into a values ('now() is', 'random()') -- gen_random_uuid()`,
  `insert into a /* random() */ values (e'it\\'s now()', $$ random() $$)`,
  'create function f() returns table (a int) language sql as $$ insert into a values (random()) $$',
  'create function f(at timestamptz default now()) returns int language plpgsql as $$ begin return 1; end $$',
  'create function f() returns void language sql begin atomic insert into a values (random()); end',
  'create view v as select now() as at',
  'create index on a (b) where c < 5; select now()',
  'do $$ begin perform random(); end $$',
  'insert into a (known, randomly, "now") values (1, snow(2), 3)',
  '-- mpm:shared\ninsert into a values (now())',
])('fleet 45: not named: %s', async (sql) => {
  expect(await calls(sql)).toBeUndefined();
});

test('fleet 45: modules that write what they make themselves are named', async () => {
  const up = (body: string): string => `export async function up(db) { ${body} }`;
  const write = (value: string): string => up(`await db.insertInto('a').values({ v: ${value} }).execute();`);
  expect(
    await named({
      '1_a.ts': write('Math.random()'),
      '2_b.ts': `import { randomUUID } from 'node:crypto';\n${write('randomUUID()')}`,
      '3_c.ts': write('new Date()'),
      '4_d.ts': `import { sql } from 'kysely';\n${write('sql`gen_random_uuid()`')}`,
      '5_e.js': up('await db.executeQuery({ sql: `insert into a values (now())` });'),
      '6_f.ts': write('Date.now()'),
    }),
  ).toEqual([
    '1_a.ts: Math.random',
    '2_b.ts: randomUUID',
    '3_c.ts: new Date',
    '4_d.ts: gen_random_uuid()',
    '5_e.js: now()',
    '6_f.ts: Date.now',
  ]);
  const create = `import { sql } from 'kysely';
export async function up(db) {
  // Not now().
  await db.schema.createTable('a').addColumn('id', 'uuid', (c) => c.defaultTo(sql\`gen_random_uuid()\`).notNull()).execute();
  await sql\`create table b (at timestamptz default now());
    create function f() returns trigger language plpgsql as $f$ begin new.at = now(); end $f$\`.execute(db);
  await db.insertInto('a').values({ v: 1, at: new Date('2020-01-01') }).execute();
}`;
  expect(
    await named({
      '1_a.ts': create,
      '2_b.ts': up('console.log(Math.random(), Date.now());'),
      '3_c.ts': `// mpm:shared\n${write('Math.random()')}`,
    }),
  ).toEqual([]);
});

test('fleet 45: a marker is read where it is one; others are refused, and it changes no checksum', async () => {
  const folder = await folderOf({
    '1_a.sql': '-- mpm:per-tenant because of its secret\nselect 1;',
    '2_b.sql': '  --mpm:shared\n-- migrate:up\nselect 1;\n-- migrate:down\nselect 2;',
    '3_c.ts': '// mpm:per-tenant\nexport const up = () => undefined;',
    '4_d.sql': `select '\n-- mpm:per-tenant\n';`,
    '5_e.up.sql': 'select 1;',
    '5_e.down.sql': '-- mpm:per-tenant\nselect 2;',
  });
  const { migrations } = await readMigrations(folder, 'core');
  expect(migrations.map(({ share }) => share)).toEqual([
    'per-tenant',
    'shared',
    'per-tenant',
    undefined,
    undefined,
  ]);
  const plain = await readMigrations(await folderOf({ '1_a.sql': 'select 1;' }), 'core');
  expect(migrations[0]?.checksum).toBe(plain.migrations[0]?.checksum);

  for (const [file, text, said] of [
    ['1_a.sql', '-- mpm:pertenant\nselect 1;', '1_a.sql:1:1: mpm:pertenant is not a marker'],
    ['1_a.sql', '-- mpm:shared\n-- mpm:per-tenant\nselect 1;', 'mpm:per-tenant contradicts mpm:shared'],
    ['3_c.ts', '// mpm:per_tenant\nexport const up = () => undefined;', '3_c.ts: mpm:per_tenant: no marker'],
  ] as const) {
    const wrong = await folderOf({});
    writeFileSync(join(wrong, file), text);
    await expect(readMigrations(wrong, 'core')).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
      message: expect.stringContaining(said),
    });
  }
});
