import { describe, expect, test } from 'vitest';
import type { HistoryRow } from '../../src/engine/history/state.ts';
import { refuseReordered } from '../../src/engine/history/reordered.ts';

const START = Date.parse('2026-01-01T00:00:00Z');

/** A history by its runs, each of names in the order in which it applied them; a second for each, an hour between runs. */
function historyOf(...runs: string[][]): HistoryRow[] {
  return runs
    .flatMap((names, run) => names.map((name, index) => ({ name, run, index })))
    .map(({ name, run, index }, position) => {
      const at = (seconds: number) => new Date(START + (run * 3600 + seconds) * 1000).toISOString();
      return {
        position: position + 1,
        name,
        runId: String(run),
        startedAt: at(index),
        finishedAt: at(index + 0.5),
      } as HistoryRow;
    });
}

const TEXT = ['10_b', '1_a', '2_c'];
const VERSION = ['1_a', '2_c', '10_b'];

describe('histories 3: a later change of the order', () => {
  test.each([
    [VERSION, 'kysely', 'version', '2_c and 10_b', '10_b before 2_c'],
    [VERSION, 'text', 'version', '2_c and 10_b', '10_b before 2_c'],
    [TEXT, 'version', 'text', '10_b and 1_a', '1_a before 10_b'],
  ] as const)('%j is refused by %s', (names, order, was, both, other) => {
    for (const history of [historyOf([...names]), historyOf(['0_z'], [...names], ['99_x'])])
      expect(refuseReordered(history, order)).toMatchObject([
        {
          message: `${both} were applied here in this order, and migrations.order "${order}" has ${other}`,
          remedy: `Set it back in the configuration: migrations: { order: '${was}' }`,
        },
      ]);
  });

  test.each([
    ['of that order', 'kysely', [TEXT]],
    ['in which the orders agree', 'text', [['20230101_a', '20230102_b']]],
    // Each is applied late by a run of its own, as --out-of-order does.
    ['with late ones', 'version', [['1_a', '10_b'], ['2_c'], ['11_d']]],
    [
      'with late ones, and newer ones in the same run',
      'version',
      [
        ['1_a', '10_b'],
        ['2_c', '11_d'],
      ],
    ],
    [
      'with late ones of dates',
      'version',
      [
        ['20230101_a', '20230105_b'],
        ['2023-01-02-x', '20230106_c'],
      ],
    ],
    // 0.1.0 compared all digits as one number.
    ['of 0.1.0', 'version', [['20230301_a', '20230101120000_b', '20230401000000_c']]],
    ['that no order explains', 'version', [['1_a', '10_b', '2_c', '1_b']]],
    ['of nothing', 'version', [[]]],
  ] as const)('a history %s is not', (_, order, runs) => {
    expect(refuseReordered(historyOf(...runs.map((names) => [...names])), order)).toEqual([]);
  });

  test('what a run resumed, or what came long after, proves nothing', () => {
    const [first, second, third] = historyOf(['0_z', '10_b', '2_c']) as [HistoryRow, HistoryRow, HistoryRow];
    const { startedAt, finishedAt } = first;
    const resumed = { ...second, startedAt: third.finishedAt ?? '', finishedAt: third.finishedAt };
    expect(refuseReordered([first, resumed, third], 'version')).toEqual([]);
    expect(refuseReordered([second, third], 'version')).toHaveLength(1);
    expect(refuseReordered([{ ...second, startedAt, finishedAt: null }, third], 'version')).toEqual([]);
    const before = new Date(START - 60_000).toISOString();
    expect(refuseReordered([{ ...second, startedAt: before, finishedAt: before }, third], 'version')).toEqual(
      [],
    );
    expect(refuseReordered([{ ...second, startedAt, finishedAt, runId: null }, third], 'version')).toEqual(
      [],
    );
  });
});
