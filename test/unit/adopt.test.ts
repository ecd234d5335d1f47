import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { decideAdoption, leftOut } from '../../src/dialects/adopt.ts';
import type { Migration } from '../../src/engine/migration.ts';
import { type Order, versionOf } from '../../src/engine/source/name.ts';
import { entriesOf, whoseTable } from '../../src/dialects/other-tools.ts';
import type { ToolName } from '../../src/dialects/tool-names.ts';

const files = (...names: string[]) =>
  names.map(
    (name) =>
      ({
        name,
        version: versionOf(name),
        path: `/nowhere/${name}.sql`,
        up: { kind: 'sql' },
      }) as unknown as Migration,
  );

/** The files that a tool's rows say are applied. */
function recorded(
  tool: ToolName,
  rows: (string | null)[][],
  migrations: Migration[],
  order: Order = 'version',
): string[] {
  return decideAdoption(migrations, [], entriesOf(tool, rows), tool, order).map(({ name }) => name);
}

describe('engine 44: an entry records the file that it names, and no other', () => {
  const two = files('20240528214728_add_a', '20240528214729_add_b');

  test.each<[ToolName, (string | null)[], string]>([
    ['prisma', ['20240528214728_add_b', 'now', null], '20240528214728_add_b'],
    ['kysely', ['20240528214728_add_b'], '20240528214728_add_b'],
    ['knex', ['20240528214728_add_b.js'], '20240528214728_add_b.js'],
    ['node-pg-migrate', ['20240528214728_add_b'], '20240528214728_add_b'],
    ['node-pg-migrate', ['20240528214728'], '20240528214728'],
    [
      'flyway',
      ['1', '20240528214728', 'add b', 'SQL', 'V20240528214728__add_b.sql', 't'],
      '20240528214728 add b',
    ],
    ['flyway', ['1', '2.0240528214728', 'add b', 'SQL', 'x', 't'], '2.0240528214728 add b'],
    ['laravel', ['2024_05_28_214728_add_c'], '2024_05_28_214728_add_c'],
    ['laravel', ['2024_05_27_214728_add_b'], '2024_05_27_214728_add_b'],
    ['dbmate', ['20240528214727'], '20240528214727'],
    ['golang-migrate', ['20240528214727', 'f'], '20240528214727'],
  ])('%s: %j is odd', (tool, row, said) => {
    expect(() => recorded(tool, [row], two)).toThrow(`have no matching file: ${said}`);
  });

  test.each<[ToolName, (string | null)[][], string[]]>([
    ['prisma', [['20240528214729_add_b', 'now', null]], ['20240528214729_add_b']],
    ['prisma', [['20240528214729_add_b', null, 'now']], []],
    ['kysely', [['20240528214729_add_b']], ['20240528214729_add_b']],
    ['knex', [['20240528214729_add_b.ts']], ['20240528214729_add_b']],
    ['node-pg-migrate', [['20240528214729_add_b']], ['20240528214729_add_b']],
    ['dbmate', [['20240528214729']], ['20240528214729_add_b']],
    ['golang-migrate', [['20240528214729', 'f']], ['20240528214728_add_a', '20240528214729_add_b']],
    ['flyway', [['1', '2024.05.28.214729', 'Add-b', 'SQL', 'x', 't']], ['20240528214729_add_b']],
    [
      'flyway',
      [['1', '20240528214729', '<< Flyway Baseline >>', 'BASELINE', 'x', 't']],
      ['20240528214728_add_a', '20240528214729_add_b'],
    ],
    [
      'flyway',
      [
        ['2', '20240528214729', 'add b', 'UNDO_SQL', 'x', 't'],
        ['1', '20240528214729', 'add b', 'SQL', 'x', 't'],
      ],
      [],
    ],
    ['laravel', [['2024_05_28_214729_add_b']], ['20240528214729_add_b']],
    // Two of one second: here one of them has the next number.
    ['laravel', [['2024_05_28_214728_add_b']], ['20240528214729_add_b']],
  ])('%s: %j', (tool, rows, names) => {
    expect(recorded(tool, rows, two)).toEqual(names);
  });

  test('two entries do not mean one file', () => {
    const rows = [
      ['1', '1.2', 'add a', 'SQL', 'x', 't'],
      ['2', '12', 'add a', 'SQL', 'x', 't'],
    ];
    expect(() => recorded('flyway', rows, files('12_add_a'))).toThrow('1 applied by flyway');
  });
});

describe('histories 3: files of other tools as they lie', () => {
  const sql = (rank: number, version: string, words: string) => [`${rank}`, version, words, 'SQL', 'x', 't'];

  test.each<[ToolName, (string | null)[][], string[]]>([
    [
      'flyway',
      [sql(1, '1', 'a'), sql(2, '1.2', 'b c'), sql(3, '1.10', 'd')],
      ['V1__a', 'V1_2__b_c', 'V1.10__d', 'V2__e', 'V12__b_c'],
    ],
    [
      'laravel',
      [['2014_10_12_000000_a'], ['2022_09_20_0000000_b'], ['2022_14_12_c']],
      ['2014_10_12_000000_a', '2022_09_20_0000000_b', '2022_14_12_c', '2022_14_13_d'],
    ],
    [
      'dbmate',
      [['20230330223252'], ['20230401000000']],
      ['2023-03-30-223252-a', '20230401000000_b', '20230402000000_c'],
    ],
    ['golang-migrate', [['2', 'f']], ['0001_a', '2_b', '10_c']],
    [
      'golang-migrate',
      [['20171008193512', 'f']],
      ['20140924113530_x', '2017-10-08-193512_x', '20171009000000_y'],
    ],
  ])('%s: %j', (tool, rows, names) => {
    const count = tool === 'golang-migrate' ? 2 : rows.length;
    expect(recorded(tool, rows, files(...names))).toEqual(names.slice(0, count));
  });

  const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();

  test.each<[ToolName, Order, string[][], string, string]>([
    [
      'kysely',
      'version',
      [
        ['2_c', at(3)],
        ['1_a', at(2)],
        ['10_b', at(1)],
      ],
      '10_b before 1_a',
      'kysely',
    ],
    [
      'kysely',
      'text',
      [
        ['1_a', at(1)],
        ['10_b', at(2)],
      ],
      '1_a before 10_b',
      'version',
    ],
    [
      'knex',
      'version',
      [
        ['10_b.js', '9'],
        ['2_c.js', '10'],
      ],
      '10_b before 2_c',
      'text',
    ],
    [
      'node-pg-migrate',
      'version',
      [
        ['10_b', '1'],
        ['1_a', '2'],
      ],
      '10_b before 1_a',
      'text',
    ],
  ])('what %s applied in another order than %s is refused', (tool, order, rows, said, setting) => {
    const names = ['1_a', '10_b', '2_c'];
    expect(() => recorded(tool, rows, files(...names), order)).toThrow(
      expect.objectContaining({
        code: 'ADOPTION',
        message: expect.stringContaining(`${tool} applied ${said}, and migrations.order "${order}" has`),
        hint: `Set in the configuration: migrations: { order: '${setting}' }`,
      }),
    );
    expect(recorded(tool, rows, files(...names), setting as Order)).toHaveLength(rows.length);
  });

  test('what came late in an order, or at one time, is not another order', () => {
    const names = files('20230101_a', '20230102_b', '20230103_c');
    const late = [
      ['20230101_a', '1'],
      ['20230103_c', '2'],
      ['20230102_b', '3'],
    ];
    expect(recorded('knex', late, names)).toHaveLength(3);
    expect(
      recorded(
        'kysely',
        [
          ['10_b', at(1)],
          ['2_c', at(1)],
        ],
        files('2_c', '10_b'),
      ),
    ).toHaveLength(2);
  });
});

/** A folder of files; returns its migrations, named as they are. */
function folderOf(texts: Record<string, string>): Migration[] {
  const folder = mkdtempSync(join(tmpdir(), 'mpm-adopt-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [file, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return Object.keys(texts)
    .filter((file) => !/index|_journal/.test(file))
    .map((file) => {
      const name = file.replace(/(?:\/migration)?\.\w+$/, '');
      const kind = file.endsWith('.sql') ? 'sql' : 'foreign';
      return {
        name,
        version: versionOf(name),
        path: join(folder, file),
        up: { kind },
      } as unknown as Migration;
    });
}

const sha = (text: string) => createHash('sha256').update(text).digest('hex');

describe('histories 9: what a tool keeps beside names finds the file', () => {
  test('typeorm: the class, wherever it is; otherwise the time and the words', () => {
    const migrations = folderOf({
      '1704067200001-old-name.ts': 'export class Meters1704067200001 implements MigrationInterface {}',
      '1704067200002-AddNote.js': "class X { constructor() { this.name = 'AddNote1704067200002'; } }",
      '1704067200003-add-later.sql': '',
    });
    const row = (id: number, name: string) => [`${name}170406720000${id}`, `170406720000${id}`, `${id}`];
    const rows = [row(1, 'Meters'), row(2, 'AddNote'), row(3, 'AddLater')];
    expect(recorded('typeorm', rows, migrations)).toEqual(migrations.map(({ name }) => name));
    expect(() => recorded('typeorm', [row(3, 'Other')], migrations)).toThrow('file: Other1704067200003');
  });

  test('drizzle before 1.0: its journal, of one time by the checksum; what it skipped is left out', () => {
    const entries = [1000, 2000, 2000, 1500, 4000].map((when, at) => ({ idx: at, when, tag: `000${at}_x` }));
    const migrations = folderOf({
      ...Object.fromEntries(entries.map(({ tag }) => [`${tag}.sql`, `select '${tag}'`])),
      'meta/_journal.json': JSON.stringify({ entries }),
    });
    const rows = [
      ['?', '1000', '1'],
      [sha("select '0002_x'"), '2000', '2'],
      [sha("select '0001_x'"), '2000', '3'],
      ['?', '4000', '4'],
    ];
    const changes = decideAdoption(migrations, [], entriesOf('drizzle', rows), 'drizzle', 'version');
    expect(changes.map(({ name }) => name)).toEqual(['0000_x', '0001_x', '0002_x', '0004_x']);
    expect(leftOut(migrations, [], changes)).toEqual(['0003_x']);
    expect(() => recorded('drizzle', [['?', '2000', '1']], migrations)).toThrow('file: 2000 (?)');
  });

  test('drizzle since 1.0: by name; a row of before by the second, or the checksum', () => {
    const migrations = folderOf({
      '20240101000001_a/migration.sql': 'a',
      '20240101000002_b/migration.sql': 'b',
      '20240101000003_c/migration.sql': 'c',
    });
    const when = Date.UTC(2024, 0, 1, 0, 0, 1) + 345;
    const rows = [
      ['?', `${when}`, '1', null],
      [sha('b'), '7', '2', null],
      ['?', '8', '3', '20240101000003_c'],
    ];
    expect(recorded('drizzle', rows, migrations)).toHaveLength(3);
    expect(() => recorded('drizzle', [['?', '8', '1', '20240101000009_z']], migrations)).toThrow(
      'file: 20240101000009_z',
    );
  });

  test('kysely: the export of an index of modules', () => {
    const migrations = folderOf({
      '20230101-init.ts': '',
      '20230102-more.ts': '',
      'index.ts': `export * as _20230101_init from './20230101-init.js';\nexport * as "second" from "./20230102-more";`,
    });
    const rows = [['_20230101_init'], ['second']];
    expect(recorded('kysely', rows, migrations)).toEqual(['20230101-init', '20230102-more']);
  });

  test('liquibase: a file whose changesets have all run', () => {
    const migrations = folderOf({ '001_a.sql': '', '002_b.xml': '<changeSet id="1"/><changeSet id="2"/>' });
    const row = (file: string, at: number, type = 'EXECUTED') => [file, `${at}`, type, `${at}`];
    const rows = [row('db/001_a.sql', 1), row('002_b.xml', 2), row('002_b.xml', 3, 'RERAN')];
    expect(recorded('liquibase', rows, migrations)).toEqual(['001_a', '002_b']);
    expect(() => recorded('liquibase', rows.slice(0, 2), migrations)).toThrow('file: 002_b.xml');
    expect(() => recorded('liquibase', [row('x.sql', 1, 'FAILED')], migrations)).toThrow('x.sql::1 failed');
  });

  test.each<[ToolName, (string | null)[][], string[]]>([
    ['tern', [['2']], ['001_a', '002_b']],
    ['tern', [['0']], []],
    [
      'diesel',
      [
        ['00000000000000', '2024-01-01'],
        ['20230330223252', '2024-01-02'],
      ],
      ['00000000000000_diesel_initial_setup', '2023-03-30-223252_c'],
    ],
    // A version that came late with -allow-missing is no other order.
    [
      'goose',
      [
        ['0', 't', '1'],
        ['1', 't', '2'],
        ['20230330223252', 't', '3'],
        ['2', 't', '4'],
      ],
      ['001_a', '002_b', '2023-03-30-223252_c'],
    ],
    [
      'goose',
      [
        ['1', 't', '1'],
        ['2', 't', '2'],
        ['2', 'f', '3'],
      ],
      ['001_a'],
    ],
    ['mikro-orm', [['Migration20240101000000', '1']], ['Migration20240101000000']],
    ['sql-migrate', [['001_a.sql', '2024-01-01 00:00:00+00']], ['001_a']],
  ])('%s: %j', (tool, rows, names) => {
    const all = [
      '00000000000000_diesel_initial_setup',
      '001_a',
      '002_b',
      '2023-03-30-223252_c',
      'Migration20240101000000',
    ];
    const those = tool === 'diesel' ? all : all.slice(1);
    expect(recorded(tool, rows, files(...those))).toEqual(names);
  });
});

describe('histories 10: whose table it is', () => {
  const varchar = 'character varying';
  test.each<[string, [string, string][], string[], ToolName[]]>([
    ['schema_migrations', [['version', `${varchar}(128)`]], [], ['dbmate']],
    ['schema_migrations', [['version', varchar]], [], ['rails']],
    ['schema_migrations', [['version', `${varchar}(255)`]], [], ['dbmate', 'rails']],
    ['schema_migrations', [['version', `${varchar}(255)`]], ['ar_internal_metadata'], ['rails']],
    [
      'schema_migrations',
      [
        ['version', 'bigint'],
        ['dirty', 'boolean'],
      ],
      [],
      ['golang-migrate'],
    ],
    [
      'schema_migrations',
      [
        ['version', 'bigint'],
        ['inserted_at', 'timestamp(0) without time zone'],
      ],
      [],
      [],
    ],
    ['schema_version', [['version', 'integer']], [], ['tern']],
    [
      'migrations',
      [
        ['batch', 'integer'],
        ['id', 'integer'],
        ['migration', `${varchar}(191)`],
      ],
      [],
      ['laravel'],
    ],
    [
      'migrations',
      [
        ['id', 'integer'],
        ['timestamp', 'bigint'],
        ['name', varchar],
      ],
      [],
      ['typeorm'],
    ],
    [
      'migrations',
      [
        ['id', 'integer'],
        ['name', `${varchar}(100)`],
        ['hash', `${varchar}(40)`],
        ['executed_at', 'timestamp without time zone'],
      ],
      [],
      [],
    ],
    [
      'steps',
      [
        ['version', 'bigint'],
        ['dirty', 'boolean'],
      ],
      [],
      [],
    ],
    [
      'migrations',
      [
        ['migration', 'public.text'],
        ['batch', 'integer'],
      ],
      [],
      [],
    ],
  ])('%s %j %j', (table, columns, marks, tools) => {
    expect(whoseTable({ table, columns, marks })).toEqual(tools);
  });
});
