import { describe, expect, test } from 'vitest';
import { decideAdoption } from '../../src/dialects/adopt.ts';
import type { Migration } from '../../src/engine/migration.ts';
import { type Order, versionOf } from '../../src/engine/source/name.ts';
import { entriesOf, type ToolName } from '../../src/dialects/other-tools.ts';

const files = (...names: string[]) =>
  names.map((name) => ({ name, version: versionOf(name) }) as unknown as Migration);

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
