import { describe, expect, test } from 'vitest';
import { decideBaseline, decideRepair, decideResolve, repairable } from '../../src/engine/edit/decide.ts';
import { rowsAfter } from '../../src/engine/edit/edit-history.ts';
import type { Migration } from '../../src/engine/migration.ts';
import { planUp } from '../../src/engine/plan.ts';
import { remedyFor, stopOf } from '../../src/engine/remedy.ts';
import { type HistoryRow, type MigrationState, statesOf } from '../../src/engine/history/state.ts';

function migration(name: string): Migration {
  const options = { transaction: true };
  const up = { kind: 'sql' as const, path: `${name}.sql`, text: '', sql: '', start: 0, options };
  return {
    name,
    version: name.split('_')[0] ?? '',
    checksum: `v1:${name}`,
    fileChecksum: `v1:${name}`,
    source: 'core',
    path: up.path,
    up,
  };
}

function row(position: number, name: string, more: Partial<HistoryRow> = {}): HistoryRow {
  return {
    position,
    name,
    version: name.split('_')[0] ?? '',
    checksum: `v1:${name}`,
    state: 'applied',
    statementsDone: 0,
    statements: null,
    statementHashes: null,
    statementBegun: null,
    backendPid: null,
    reverting: false,
    atWork: null,
    startedAt: '',
    finishedAt: null,
    durationMs: null,
    toolVersion: '0',
    runId: null,
    databaseUser: 'u',
    actor: null,
    source: 'core',
    error: null,
    ...more,
  };
}

// One migration in each state of engine 21.
const files = [
  '1_applied',
  '2_baseline',
  '3_changed',
  '5_failed',
  '6_interrupted',
  '7_late',
  '8_head',
  '9_pending',
];
const migrations = files.map(migration);
const rows = [
  row(1, '1_applied'),
  row(2, '2_baseline', { state: 'baseline' }),
  row(3, '3_changed', { checksum: 'v1:before' }),
  row(4, '4_missing'),
  row(5, '5_failed', { state: 'failed', statementsDone: 2, statements: 7 }),
  row(6, '6_interrupted', { state: 'running', statementsDone: 7, statements: 7 }),
  row(7, '8_head'),
];
const future = [...rows, row(8, '99_future')];

describe('engine 21: every state is a word of its own, with its remedy', () => {
  test.each<[string, MigrationState]>([
    ['1_applied', 'applied'],
    ['2_baseline', 'baseline'],
    ['3_changed', 'changed'],
    ['4_missing', 'missing'],
    ['5_failed', 'failed'],
    ['6_interrupted', 'interrupted'],
    ['7_late', 'out-of-order'],
    ['8_head', 'applied'],
    ['9_pending', 'pending'],
  ])('%s is %s', (name, state) => {
    expect(statesOf(migrations, rows, 'version').find((entry) => entry.name === name)?.state).toBe(state);
  });

  test('applied without a file, behind the last file: future', () => {
    expect(statesOf(migrations, future, 'version').at(-1)).toMatchObject({
      name: '99_future',
      state: 'future',
    });
  });

  test('the plan refuses what needs a person, each with the exact command', () => {
    const { refusals, pending } = planUp(migrations, rows);
    expect(pending.map(({ name }) => name)).toEqual(['9_pending']);
    expect(Object.fromEntries(refusals.map(({ state, remedy }) => [state, remedy]))).toEqual({
      changed:
        'restore the file, or accept it: mpm-migrate repair 3_changed --tenant {tenant} --checksums --write',
      missing:
        'restore the file, or remove its row: mpm-migrate repair 4_missing --tenant {tenant} --missing --write',
      failed:
        'fix the cause, and then resume: mpm-migrate up --tenant {tenant} --force\nthis one alone: mpm-migrate resolve 5_failed --tenant {tenant} --retry\nif you finished it by hand: mpm-migrate resolve 5_failed --tenant {tenant} --applied\nif you reverted what it did: mpm-migrate resolve 5_failed --tenant {tenant} --rolled-back',
      interrupted:
        'resume: mpm-migrate up --tenant {tenant} --force\nthis one alone: mpm-migrate resolve 6_interrupted --tenant {tenant} --retry\nif you finished it by hand: mpm-migrate resolve 6_interrupted --tenant {tenant} --applied\nif you reverted what it did: mpm-migrate resolve 6_interrupted --tenant {tenant} --rolled-back',
      'out-of-order':
        'give it a newer version, or apply it late: mpm-migrate up --tenant {tenant} --out-of-order',
    });
    expect(refusals.find(({ state }) => state === 'failed')?.message).toBe(
      '5_failed failed before and was left half-done: it stopped at statement 3 of 7',
    );
  });

  test('of many names the command says --all-names; what is settled needs none', () => {
    expect(remedyFor('changed', ['1', '2', '3', '4'])).toContain('repair --all-names --tenant');
    expect(remedyFor('applied', ['1'])).toBeUndefined();
    expect(remedyFor('baseline', ['1'])).toBeUndefined();
    expect(remedyFor('pending', ['1'])).toBe('mpm-migrate up --tenant {tenant}');
  });

  test('a statement that was last is still named as the one it stopped at', () => {
    expect(rows.map(stopOf).filter(Boolean)).toEqual([
      'stopped at statement 3 of 7',
      'stopped at statement 7 of 7',
    ]);
  });

  test('`only` resumes that one, whatever else is there', () => {
    for (const name of ['5_failed', '6_interrupted']) {
      const plan = planUp(migrations, rows, { only: name });
      expect({ pending: plan.pending.map((each) => each.name), refusals: plan.refusals }).toEqual({
        pending: [name],
        refusals: [],
      });
    }
    for (const name of ['1_applied', '7_late', '9_pending']) {
      expect(planUp(migrations, rows, { only: name }).pending).toEqual([]);
    }
  });
});

describe('engine 24, 25: what each verb changes, by state', () => {
  test('repair: of its kind only, and only what is named', () => {
    expect(decideRepair(migrations, future, 'checksums', [], 'version')).toMatchObject([
      { action: 'accept', name: '3_changed' },
    ]);
    expect(decideRepair(migrations, future, 'missing', [], 'version')).toMatchObject([
      { action: 'forget', name: '4_missing' },
    ]);
    expect(decideRepair(migrations, rows, 'missing', ['3_changed'], 'version')).toEqual([]);
    expect(repairable(migrations, rows, 'checksums', 'version').map(({ name }) => name)).toEqual([
      '3_changed',
    ]);
  });

  test('baseline: what the history lacks up to there, whatever its state; twice is a no-op', () => {
    const changes = decideBaseline(migrations, rows, '8_head', 'version');
    expect(changes).toMatchObject([{ action: 'record', name: '7_late' }]);
    const after = rowsAfter(rows, changes);
    expect(after.at(-1)).toEqual({ name: '7_late', checksum: 'v1:7_late', state: 'baseline' });
    expect(decideBaseline(migrations, after as HistoryRow[], '8_head', 'version')).toEqual([]);
    expect(decideBaseline(migrations, [], '2_baseline', 'version').map(({ name }) => name)).toEqual([
      '1_applied',
      '2_baseline',
    ]);
  });

  test.each([
    ['5_failed', undefined],
    ['6_interrupted', undefined],
    ['1_applied', 'it is applied'],
    ['2_baseline', 'it is baseline'],
    ['3_changed', 'it is changed'],
    ['4_missing', 'it is missing'],
    ['7_late', 'it is out-of-order'],
    ['9_pending', 'it is pending'],
    ['10_nothing', 'there is no such migration'],
  ])('resolve %s', (name, refused) => {
    const settle = (as: 'applied' | 'rolled-back') => () =>
      decideResolve(migrations, rows, name, as, 'version');
    const said = (as: 'applied' | 'rolled-back') => {
      try {
        return settle(as)().map(({ action }) => action);
      } catch (error) {
        return String(error);
      }
    };
    const why = refused === undefined ? undefined : expect.stringContaining(refused);
    expect(said('applied')).toEqual(why ?? ['mark-applied']);
    expect(said('rolled-back')).toEqual(why ?? ['forget']);
  });

  test('engine 30: the stamp after a change is that of the rows after it', () => {
    const accept = decideRepair(migrations, rows, 'checksums', [], 'version');
    expect(rowsAfter(rows, accept)[2]).toMatchObject({ name: '3_changed', checksum: 'v1:3_changed' });
    const applied = decideResolve(migrations, rows, '5_failed', 'applied', 'version');
    expect(rowsAfter(rows, applied)[4]).toMatchObject({ name: '5_failed', state: 'applied' });
    const forgotten = decideResolve(migrations, rows, '6_interrupted', 'rolled-back', 'version');
    expect(rowsAfter(rows, forgotten).map(({ name }) => name)).not.toContain('6_interrupted');
  });
});
