import { describe, expect, test } from 'vitest';
import { decideAdoption } from '../../src/dialects/adopt.ts';
import type { Migration } from '../../src/engine/migration.ts';
import { versionOf } from '../../src/engine/source/name.ts';
import { entriesOf, type ToolName } from '../../src/dialects/other-tools.ts';

const files = (...names: string[]) =>
  names.map((name) => ({ name, version: versionOf(name) }) as unknown as Migration);

/** The files that a tool's rows say are applied. */
function recorded(tool: ToolName, rows: (string | null)[][], migrations: Migration[]): string[] {
  return decideAdoption(migrations, [], entriesOf(tool, rows), tool).map(({ name }) => name);
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
