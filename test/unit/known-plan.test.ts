import { describe, expect, test } from 'vitest';
import { type HistoryRow } from '../../src/engine/history/state.ts';
import { stampOf } from '../../src/engine/history/stamp.ts';
import { planKnown, remember, settledRow } from '../../src/engine/known-plan.ts';
import type { Migration } from '../../src/engine/migration.ts';

function migration(name: string, phase?: 'contract'): Migration {
  const options = { transaction: true, ...(phase && { phase }) };
  const up = { kind: 'sql' as const, path: `${name}.sql`, text: '', sql: '', start: 0, options };
  const checksum = `v2:${name}`;
  return {
    name,
    version: name.slice(0, 1),
    checksum,
    fileChecksum: checksum,
    source: 'core',
    path: up.path,
    up,
  };
}

const A = migration('1_a');
const B = migration('2_b', 'contract');
const C = migration('3_c');
const D = migration('4_d');

function history(...migrations: Migration[]): HistoryRow[] {
  return migrations.map(settledRow);
}

function stamped(rows: HistoryRow[]) {
  const { count, fingerprint } = stampOf(rows);
  return { count, fingerprint };
}

const namesOf = (plan: ReturnType<typeof planKnown>) => plan?.pending.map(({ name }) => name);

describe('confidence 9: what a stamp says where something is deferred', () => {
  test('the history without it is known, and so is the history with it in its place', () => {
    const list = [A, B, C, D];
    expect(namesOf(planKnown(list, stamped(history(A, C))))).toEqual(['4_d']);
    expect(namesOf(planKnown(list, stamped(history(A, C)), { phase: 'contract' }))).toEqual(['2_b', '4_d']);
    expect(namesOf(planKnown(list, stamped(history(A, B, C))))).toEqual(['4_d']);
    expect(namesOf(planKnown(list, stamped(history(A)), { released: new Set(['2_b']) }))).toEqual([
      '2_b',
      '3_c',
      '4_d',
    ]);
  });

  test('one with it at another place is known once it was met', () => {
    const list = [A, B, C, D];
    const met = history(A, C, B);
    expect(planKnown(list, stamped(met))).toBeUndefined();
    remember(list, stamped(met).fingerprint, met);
    expect(namesOf(planKnown(list, stamped(met)))).toEqual(['4_d']);
    // Another list, as of another run that read other files, knows nothing of it.
    expect(planKnown([A, B, C, D], stamped(met))).toBeUndefined();
  });

  test.each([
    ['half-done', [...history(A, C), { ...settledRow(B, 2), state: 'failed' as const }]],
    ['without a file', history(A, C, migration('0_gone'), B)],
    ['of an edited file', [...history(A, C), { ...settledRow(B, 2), checksum: 'v2:other' }]],
  ])('one that is %s says too little by its fingerprint', (_, rows) => {
    const list = [A, B, C, D];
    remember(list, stamped(rows).fingerprint, rows);
    expect(planKnown(list, stamped(rows))).toBeUndefined();
  });
});
