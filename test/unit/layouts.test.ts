import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MpmError } from '../../src/errors.ts';
import { listFolder } from '../../src/engine/source/layout.ts';
import { readMigrations } from '../../src/engine/source/source.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mpm-layouts-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Writes files, by their paths in the folder; a path that ends with `/` is an empty folder. */
function write(files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    const whole = join(folder, path);
    mkdirSync(path.endsWith('/') ? whole : dirname(whole), { recursive: true });
    if (!path.endsWith('/')) writeFileSync(whole, content);
  }
}

/** Name, file, and the second one, of each migration. */
function listed() {
  const { layout, migrations, passedBy, problems } = listFolder(folder);
  return {
    layout,
    migrations: migrations.map(({ name, file, downFile }) => [name, file, ...(downFile ? [downFile] : [])]),
    passedBy: passedBy.map(({ path }) => path),
    unknown: passedBy.filter(({ known }) => !known).map(({ path }) => path),
    problems: problems.map(({ message }) => message),
  };
}

async function refused(): Promise<MpmError> {
  const error: unknown = await readMigrations(folder, 'core').catch((thrown: unknown) => thrown);
  if (!(error instanceof MpmError)) throw new Error('it was read');
  return error;
}

describe('histories 1: layouts', () => {
  test.each([
    {
      layout: 'NAME/migration.sql (Prisma)',
      files: {
        'migration_lock.toml': 'provider = "postgresql"\n',
        '20230101000000_init/migration.sql': 'select 1;',
        '20230102000000_more/migration.sql': 'select 1;',
        '20230102000000_more/README.md': '',
      },
      migrations: [
        ['20230101000000_init', '20230101000000_init/migration.sql'],
        ['20230102000000_more', '20230102000000_more/migration.sql'],
      ],
      passedBy: ['20230102000000_more/README.md', 'migration_lock.toml'],
    },
    {
      layout: 'NAME/migration.sql',
      files: { '1_a/migration.sql': '', '1_a/down.sql': '' },
      migrations: [['1_a', '1_a/migration.sql', '1_a/down.sql']],
      passedBy: [],
    },
    {
      layout: 'NAME/migration.sql (Drizzle)',
      files: { '20240101000000_a/migration.sql': '', '20240101000000_a/snapshot.json': '{}' },
      migrations: [['20240101000000_a', '20240101000000_a/migration.sql']],
      passedBy: ['20240101000000_a/snapshot.json'],
    },
    {
      layout: 'NAME/up.sql (diesel)',
      files: {
        '00000000000000_diesel_initial_setup/up.sql': '',
        '00000000000000_diesel_initial_setup/down.sql': '',
        '2023-01-01-000000_x/up.sql': '',
        '2023-01-01-000000_x/metadata.toml': 'run_in_transaction = false\n',
      },
      migrations: [
        [
          '00000000000000_diesel_initial_setup',
          '00000000000000_diesel_initial_setup/up.sql',
          '00000000000000_diesel_initial_setup/down.sql',
        ],
        ['2023-01-01-000000_x', '2023-01-01-000000_x/up.sql'],
      ],
      passedBy: [],
    },
    {
      layout: 'NAME.sql (Drizzle)',
      files: {
        '0000_a.sql': 'select 1;\n--> statement-breakpoint\nselect 2;',
        '0001_b.sql': 'select 1;',
        'meta/0000_snapshot.json': '{}',
        'meta/_journal.json': JSON.stringify({
          dialect: 'postgresql',
          entries: [{ tag: '0000_a' }, { tag: '0001_b' }],
        }),
      },
      migrations: [
        ['0000_a', '0000_a.sql'],
        ['0001_b', '0001_b.sql'],
      ],
      passedBy: ['meta/'],
    },
    {
      layout: 'NAME.up.sql, NAME.DIALECT.up.sql',
      files: {
        '1_a.up.sql': '',
        '1_a.down.sql': '',
        '1_a.mysql.up.sql': '',
        '1_a.mysql.down.sql': '',
        '2_b.postgres.up.sql': '',
        '2_b.postgres.down.sql': '',
        '2_b.up.sql': '',
        '2_b.down.sql': '',
        '3_c.up.sql': '',
        '3_c.down.sql': '',
        '4_d.sqlite3.up.sql': '',
        '4_d.sqlite3.down.sql': '',
      },
      migrations: [
        ['1_a', '1_a.up.sql', '1_a.down.sql'],
        ['2_b', '2_b.postgres.up.sql', '2_b.postgres.down.sql'],
        ['3_c', '3_c.up.sql', '3_c.down.sql'],
      ],
      passedBy: [
        '1_a.mysql.down.sql',
        '1_a.mysql.up.sql',
        '2_b.down.sql',
        '2_b.up.sql',
        '4_d.sqlite3.down.sql',
        '4_d.sqlite3.up.sql',
      ],
    },
    {
      layout: '1/NAME.up.sql, 1/NAME.sql',
      files: {
        '1/01_x.up.sql': '',
        '1/01_x.down.sql': '',
        '1/README.md': '',
        '2/10_y.up.sql': '',
        '2/9_z.sql': '',
        '10/01_x.up.sql': '',
      },
      migrations: [
        ['1/01_x', '1/01_x.up.sql', '1/01_x.down.sql'],
        ['2/9_z', '2/9_z.sql'],
        ['2/10_y', '2/10_y.up.sql'],
        ['10/01_x', '10/01_x.up.sql'],
      ],
      passedBy: ['1/README.md'],
    },
    {
      layout: 'V1__NAME.sql (Flyway), NAME.java',
      files: {
        'V1__a.sql': '',
        'V1_2__b.sql': '',
        'U1_2__takes_b_back.sql': '',
        'V1.10__c.sql': '',
        'V2__d.java': '',
        'flyway.conf': '',
      },
      migrations: [
        ['V1__a', 'V1__a.sql'],
        ['V1_2__b', 'V1_2__b.sql', 'U1_2__takes_b_back.sql'],
        ['V1.10__c', 'V1.10__c.sql'],
        ['V2__d', 'V2__d.java'],
      ],
      passedBy: ['flyway.conf'],
    },
    {
      layout: 'NAME.ts, NAME.sql (Drizzle)',
      files: {
        'brave_a.sql': '',
        'meta/_journal.json': '{"dialect":"postgresql","entries":[{"tag":"brave_a"}]}',
        '1_x.ts': '',
      },
      migrations: [
        ['brave_a', 'brave_a.sql'],
        ['1_x', '1_x.ts'],
      ],
      passedBy: ['meta/'],
    },
    {
      layout: 'NAME/migration.sql, NAME.sql, NAME.ts',
      files: { '1_a/migration.sql': '', '2_b/migration.sql': '', '3_c.sql': '', '4_d.ts': '' },
      migrations: [
        ['1_a', '1_a/migration.sql'],
        ['2_b', '2_b/migration.sql'],
        ['3_c', '3_c.sql'],
        ['4_d', '4_d.ts'],
      ],
      passedBy: [],
    },
  ])('$layout', ({ layout, files, migrations, passedBy }) => {
    write(files as unknown as Record<string, string>);
    expect(listed()).toEqual({ layout, migrations, passedBy, unknown: [], problems: [] });
  });

  test("diesel's switch, and ory's, keep a file out of a transaction", async () => {
    write({
      '1_a/up.sql': 'select 1;',
      '1_a/metadata.toml': 'run_in_transaction = false\n',
      '2_b.autocommit.up.sql': 'create index concurrently i on t (a);',
      '3_c/up.sql': '-- migrate:up transaction:true\nselect 1;',
      '3_c/metadata.toml': 'run_in_transaction = false\n',
      '4_d/up.sql': 'select 1;',
      '4_d/metadata.toml': '# run_in_transaction = false\n',
    });
    const { migrations } = await readMigrations(folder, 'core');
    expect(migrations.map(({ name, up }) => [name, up.options.transaction])).toEqual([
      ['1_a', false],
      ['2_b', false],
      ['3_c', true],
      ['4_d', true],
    ]);
  });

  test('a mistake is shown with the folder, where the file is called the same in all of them', async () => {
    write({ '1_a/migration.sql': 'select 1;\ncommit;' });
    expect((await refused()).message).toMatch(/^1_a\/migration\.sql:2:1: /);
  });

  test('a folder beside the migration of its name is what that one reads', () => {
    write({ '1_a.ts': '', '1_a/01_rows.sql': '', '1_a/helper.ts': '', '2_b.sql': '', '2_b/rows.csv': '' });
    expect(listed()).toMatchObject({
      migrations: [
        ['1_a', '1_a.ts'],
        ['2_b', '2_b.sql'],
      ],
      passedBy: ['1_a/', '2_b/'],
      problems: [],
    });
  });

  test('two layouts whose names meet are named, both of them', () => {
    write({ '1_a/migration.sql': '', '1_a.sql': '', '2_b/up.sql': '', '2_b.ts': '' });
    expect(listed().problems).toEqual([
      '1_a.sql and 1_a/migration.sql have the same name',
      '2_b.ts and 2_b/up.sql have the same name',
    ]);
  });
});

describe('histories 2: what is no migration', () => {
  test('is known by its name', () => {
    write({
      '1_a.sql': '',
      '.gitkeep': '',
      '.github/x.sql': '',
      'README.md': '',
      LICENSE: '',
      'atlas.sum': '',
      'migration_lock.toml': '',
      'types.d.ts': '',
      '1_a.d.ts': '',
      'index.ts': "export * as _1 from './1_a.ts';",
      'all.ts': "// all\nimport { up } from './1_a.ts';\nexport { up };\nexport * from './x.ts';\n",
      'provider.ts': 'export class Provider { up() {} }',
      'embed.go': '',
      '1_x_test.go': '',
      '__init__.py': '',
      'helpers/tool.ts': 'export const a = 1;',
      'node_modules/1_x.sql': '',
    });
    const { passedBy, unknown, migrations, problems } = listed();
    expect({ unknown, migrations, problems }).toEqual({
      unknown: [],
      migrations: [['1_a', '1_a.sql']],
      problems: [],
    });
    expect(passedBy).toHaveLength(16);
  });

  test('is told, where nobody knows what it is', () => {
    write({ '1_a.sql': '', 'notes.dat': '', 'old/2_b.sql': '', '1_a.sql.orig': '' });
    expect(listed()).toMatchObject({ unknown: ['1_a.sql.orig', 'notes.dat', 'old/'], problems: [] });
  });

  test.each([
    [{ 'migrations/1_a/migration.sql': '', 'schema.prisma': '' }, /migrations\/ holds.*NAME\/migration\.sql/],
    [{ 'migrations/migration_lock.toml': '' }, /migrations\/ holds the migrations \(Prisma's\)/],
    [{ 'sql/1_a.sql': '', 'README.md': '' }, /sql\/ holds the migrations \(NAME\.sql\)/],
    [{ 'db/V1__a.sql': '' }, /db\/ holds the migrations \(Flyway's\)/],
    [{ 'mysql/V0001.x.up.sql': '', 'postgres/V0001.x.up.sql': '' }, /^if postgres\/ holds/],
    [{ 'a1b2_init.py': '', 'env.py': '' }, /a migration is NAME\.sql/],
  ])('%o alone is an error', async (files, hint) => {
    write(files as unknown as Record<string, string>);
    const error = await refused();
    expect(error.code).toBe('MIGRATION_INVALID');
    expect(error.message).toMatch(/^no migration is in \/\S+, only /);
    expect(error.hint).toMatch(hint);
  });

  test('alone is no error, where it belongs to an empty folder', () => {
    write({ '.gitkeep': '', 'README.md': '', 'index.ts': 'export {};', 'helpers/tool.ts': '' });
    expect(listed().problems).toEqual([]);
  });

  test('a folder with the name of a migration, and none in it, is named', () => {
    write({ '1_a/migration.sql': '', '2_b/': '', '3_c/steps.json': '' });
    expect(listed().problems).toEqual([
      "2_b/ has a migration's name, and holds none",
      "3_c/ has a migration's name, and holds none",
    ]);
  });

  test.each([
    ['mysql', { 'migration_lock.toml': 'provider = "mysql"', '1_a/migration.sql': '' }],
    ['sqlite', { 'meta/_journal.json': '{"dialect":"sqlite","entries":[]}', '0000_a.sql': '' }],
  ])('of %s is refused', async (dialect, files) => {
    write(files as unknown as Record<string, string>);
    expect((await refused()).message).toContain(dialect);
  });

  test.each([
    ['names 0001_b, and there is no 0001_b.sql', { entries: [{ tag: '0000_a' }, { tag: '0001_b' }] }],
    ['has 0000_a behind 0002_c', { entries: [{ tag: '0002_c' }, { tag: '0000_a' }] }],
    ['it has no entries with tags', { entries: [{ idx: 1 }] }],
    ['it has no entries with tags', {}],
    ["it isn't JSON", 'x'],
  ])('a journal that %s', async (what, journal) => {
    write({
      '0000_a.sql': 'select 1;',
      '0002_c.sql': 'select 1;',
      'meta/_journal.json': typeof journal === 'string' ? journal : JSON.stringify(journal),
    });
    expect((await refused()).message).toContain(what);
  });

  test.each([
    ['R__views.sql', 'repeatable'],
    ['B1_2__state.sql', 'baseline'],
    ['B2__state.sql', 'baseline'],
    ['afterMigrate.sql', 'callback'],
    ['beforeEachMigrate__note.sql', 'callback'],
    ['1_a.sql.conf', 'configuration'],
  ])("Flyway's %s is refused by name", async (file, what) => {
    write({ '1_a.sql': 'select 1;', [file]: 'select 1;' });
    const { message, hint } = await refused();
    expect(message).toContain(`${file} is`);
    expect(message).toContain(what);
    expect(hint).toContain('move it out of the folder');
  });

  test("Flyway's placeholders are refused, with their place; elsewhere they are text", async () => {
    write({ '1_a.sql': "select '${x}';" });
    expect((await readMigrations(folder, 'core')).migrations).toHaveLength(1);
    write({ 'V2__b.sql': "select 1;\nselect '${schema}';" });
    expect((await refused()).message).toBe(
      'V2__b.sql:2:9: ${schema} is a placeholder, into which Flyway would put a value',
    );
  });

  test('a way back belongs to the only migration of its version, whatever it is called', () => {
    write({
      '1_a.up.sql': '',
      '1_takes_a_back.down.sql': '',
      '2_b.up.go': '',
      '2_b.down.go': '',
      '3_c.go': '',
      '3_c.down.sql': '',
    });
    expect(listed()).toMatchObject({
      migrations: [
        ['1_a', '1_a.up.sql', '1_takes_a_back.down.sql'],
        ['2_b', '2_b.up.go'],
        ['3_c', '3_c.go'],
      ],
      unknown: [],
      problems: [],
    });
  });

  test("SQL that the folder's tool doesn't run is passed by, and told", () => {
    write({
      '0000_a.sql': '',
      '0001_b.sql': '',
      '0001_stray.sql': '',
      '0002_ours.ts': '',
      'meta/_journal.json': '{"dialect":"postgresql","entries":[{"tag":"0000_a"},{"tag":"0001_b"}]}',
    });
    expect(listed()).toMatchObject({
      migrations: [
        ['0000_a', '0000_a.sql'],
        ['0001_b', '0001_b.sql'],
        ['0002_ours', '0002_ours.ts'],
      ],
      unknown: ['0001_stray.sql'],
      problems: [],
    });
    // Run now, it would count as a stray when the journal gets a newer one.
    write({ '0003_new.sql': '' });
    expect(listed().problems).toEqual(["0003_new.sql is not in Drizzle's journal"]);
    rmSync(folder, { recursive: true });
    write({ '2023-01-01-000000_a/up.sql': '', 'data.sql': '' });
    expect(listed()).toMatchObject({ unknown: ['data.sql'], problems: [] });
    write({ '2023-01-02-000000_b.sql': '' });
    expect(listed().problems).toEqual(['data.sql has no number, and other files here have one']);
  });

  test.each([
    ['1_a.up.sql', '2_c.DOWN.sql'],
    ['2_c.up.sql', '2_c.Down.sql'],
    ['1_a.sql', '1_a.undo.sql'],
    ['1_a.sql', '2_a.down.v2.sql'],
    ['1_a_up.sql', '1_a_down.sql'],
    ['20240101000000-a-up.sql', '20240101000000-a-down.sql'],
  ])('a way back that would run as a migration is refused: beside %s, %s', (up, down) => {
    write({ [up]: 'create table a ();', [down]: 'drop table a;' });
    expect(listed().problems[0]).toBe(
      `${down} is called like the way back of a migration, and would run as one`,
    );
  });

  test('what only ends in such a word is a migration', () => {
    write({ '1_a.sql': '', '2_shut_down.sql': '', '3_undo.sql': '' });
    expect(listed()).toMatchObject({ problems: [], unknown: [] });
  });

  test("a folder of Flyway's in the folder, and names that can't be shown, are refused", () => {
    write({ 'V1__a.sql': '', 'sub/V3__s.sql': '', 'V4__\u202es.sql': '', 'V5__\u001b[31m.sql': '' });
    expect(listed().problems.toSorted()).toEqual([
      "V4__\\u202es.sql: its name has a character that can't be shown",
      "V5__\\u001b[31m.sql: its name has a character that can't be shown",
      'sub/V3__s.sql is in a folder of its own',
    ]);
  });

  test('a folder that is a migration may have any name', () => {
    write({ '1_a.sql/migration.sql': '', '2_b.sql/note.md': '' });
    expect(listed()).toMatchObject({
      migrations: [['1_a.sql', '1_a.sql/migration.sql']],
      problems: ['2_b.sql is a folder, not a file'],
    });
  });

  test("Flyway's way back needs its way there", () => {
    write({ 'V1__a.sql': '', 'U2__b.sql': '' });
    expect(listed().problems).toEqual(['U2__b.sql has no V2__b.sql']);
  });

  test.skipIf(process.getuid?.() === 0)('a folder that cannot be read is told', () => {
    write({ '1_a.sql': '', 'lost+found/': '' });
    chmodSync(join(folder, 'lost+found'), 0o000);
    expect(listed()).toMatchObject({ unknown: ['lost+found/'], problems: [] });
  });

  test('links lead out of the folder, or in a circle, and are named', () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'mpm-layouts-'));
    writeFileSync(join(elsewhere, '9_x.sql'), 'select 1;');
    write({ '1_a.sql': '' });
    symlinkSync(elsewhere, join(folder, '2_b'));
    symlinkSync('.', join(folder, '3_c'));
    symlinkSync('.', join(folder, 'here'));
    symlinkSync(join(elsewhere, '9_x.sql'), join(folder, '9_x.sql'));
    expect(listed()).toMatchObject({
      migrations: [
        ['1_a', '1_a.sql'],
        ['9_x', '9_x.sql'],
      ],
      unknown: ['here'],
      problems: ['2_b is a link to a folder', '3_c is a link to a folder'],
    });
    rmSync(elsewhere, { recursive: true });
  });
});

describe("histories 6: other tools' migrations", () => {
  test.each([
    ['1_a.go', 'Go (goose)', 'package migrations'],
    ['1_a.up.go', 'Go (goose)', 'package migrations'],
    ['1_a.php', 'PHP (Laravel)', '<?php'],
    ['1_a.py', 'Python (Django, Alembic)', 'class Migration: pass'],
    ['1_a.rb', 'Ruby (Rails)', 'class A'],
    ['1_a.java', 'Java (Flyway)', 'class A {}'],
    ['1_a.xml', 'XML (Liquibase)', '<a/>'],
    ['1_a/migration.ts', 'TypeScript or JavaScript', 'throw new Error("loaded");'],
    ['1_a.js', 'Knex', "throw new Error('loaded');\nexports.up = function(knex, Promise) {};"],
    ['1_a.ts', 'Knex', "import type { Knex } from 'knex';\nexport async function up(k: Knex) {}"],
    ['1_a.cjs', 'Knex', 'exports.up = knex => knex.schema'],
    [
      '1_a.ts',
      'Umzug',
      "import type { MigrationFn } from 'umzug';\nexport const up: MigrationFn = () => {};",
    ],
    ['1_a.js', 'db-migrate', 'exports.setup = (options) => { dbm = options.dbmigrate; };'],
    ['1_a.ts', 'TypeORM', 'export class A1 implements MigrationInterface { async up(q) {} }'],
    [
      '1_a.js',
      'TypeORM',
      'module.exports = class A1 { async up(queryRunner) { await queryRunner.query("x") } }',
    ],
    ['1_a.js', 'Sequelize', 'module.exports = { up: async (queryInterface, Sequelize) => {} };'],
    ['1_a.js', 'Sequelize', 'module.exports = { async up(queryInterface) {} };'],
    ['1_a.mjs', 'Sequelize', 'export const up = async ({ context: queryInterface }) => {};'],
    [
      '1_a.ts',
      'MikroORM',
      "import { Migration } from '@mikro-orm/migrations';\nexport class A extends Migration {}",
    ],
    ['1_a.js', 'node-pg-migrate', 'exports.up = (pgm) => { pgm.sql("x"); };'],
    [
      '1_a.ts',
      'node-pg-migrate',
      "import { MigrationBuilder } from 'node-pg-migrate';\nexport const up = () => {};",
    ],
  ])('%s of %s is listed, and not loaded', async (file, tool, text) => {
    write({ [file]: text, '2_b.sql': 'select 1;' });
    const { migrations } = await readMigrations(folder, 'core');
    expect(migrations.map(({ name }) => name)).toEqual(['1_a', '2_b']);
    expect(migrations[0]?.up).toMatchObject({ kind: 'foreign', tool });
  });

  test.each([
    "import { sql } from 'kysely';\nexport const up = async (knex) => { await sql`select 1`.execute(knex); };",
    'export const up = async (knex) => { await knex.schema.dropTable("a").execute(); };',
    "// from 'knex', before\nexport const up = async (db) => {};",
    'export const up = async (db) => {};',
  ])('a Kysely module stays one: %s', async (text) => {
    write({ '1_a.ts': text });
    expect((await readMigrations(folder, 'core')).migrations[0]?.up.kind).toBe('module');
  });

  test('SQL beside takes its place, and what was recorded of the other counts', async () => {
    write({ '1_a.go': 'package a', '2_b.js': 'exports.up = (knex) => 1;', '3_c/migration.ts': '1' });
    const before = (await readMigrations(folder, 'core')).migrations;
    write({ '1_a.sql': 'select 1;', '2_b.up.sql': 'select 1;', '3_c/migration.sql': 'select 1;' });
    const { migrations, passedBy } = await readMigrations(folder, 'core');
    expect(migrations.map(({ up }) => up.kind)).toEqual(['sql', 'sql', 'sql']);
    expect(passedBy.map(({ path }) => path)).toEqual(['1_a.go', '2_b.js', '3_c/migration.ts']);
    expect(migrations.map(({ insteadOf }) => insteadOf)).toEqual(before.map(({ checksum }) => checksum));
  });
});
