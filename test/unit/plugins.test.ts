import { describe, expect, test } from 'vitest';
import { mergeMigrations } from '../../src/engine/source/source.ts';
import type { Migration } from '../../src/engine/migration.ts';
import { planAfter } from '../../src/engine/known-plan.ts';
import { planUp } from '../../src/engine/plan.ts';
import { planDown } from '../../src/engine/plan-down.ts';
import { fingerprintOf, type HistoryRow, statesOf } from '../../src/engine/history/state.ts';

function migration(name: string, plugin?: string): Migration {
  const options = { transaction: true };
  const script = { kind: 'sql' as const, path: `/m/${name}.sql`, text: '', sql: '', start: 0, options };
  return {
    name,
    version: name.split('_')[0] ?? '',
    checksum: `v1:${name}`,
    fileChecksum: `v1:${name}`,
    source: plugin === undefined ? 'core' : 'plugin',
    ...(plugin === undefined ? {} : { plugin }),
    path: script.path,
    up: script,
    down: script,
  };
}

function rows(...names: string[]): HistoryRow[] {
  return names.map((word, index) => {
    const [name = '', source = 'core'] = word.split(' ');
    return {
      position: index + 1,
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
      source,
      error: null,
    };
  });
}

const core = [migration('1_a'), migration('3_c'), migration('10_j')];
const meters = [migration('2_m', 'meters'), migration('11_m', 'meters')];
const solar = [migration('4_s', 'solar')];
const all = mergeMigrations([core, meters, solar]);
const states = (migrations: readonly Migration[], history: HistoryRow[]) =>
  Object.fromEntries(statesOf(migrations, history, 'version').map(({ name, state }) => [name, state]));

describe('core and plugins in one order', () => {
  test('by number, wherever they are from', () => {
    expect(all.map(({ name }) => name)).toEqual(['1_a', '2_m', '3_c', '4_s', '10_j', '11_m']);
  });

  test('the same version, or the same name, names both files', () => {
    expect(() => mergeMigrations([core, [migration('003_x', 'meters')]])).toThrow(
      '3_c.sql (core) and 003_x.sql (plugin meters) have the same version, 3',
    );
  });
});

describe('plan with plugins', () => {
  test('a plugin that is installed later is pending, and not out-of-order', () => {
    const plan = planUp(all, rows('1_a', '3_c', '10_j'));
    expect(plan.refusals).toEqual([]);
    expect(plan.pending.map(({ name }) => name)).toEqual(['2_m', '4_s', '11_m']);
  });

  test('core that comes late is out-of-order as ever, and so is a file of a plugin behind its own', () => {
    const early = mergeMigrations([all, [migration('9_late'), migration('8_late', 'meters')]]);
    const found = states(early, rows('1_a', '3_c', '10_j', '2_m plugin', '11_m plugin'));
    expect(found).toMatchObject({ '9_late': 'out-of-order', '8_late': 'out-of-order', '4_s': 'pending' });
  });

  test('core is not out-of-order because a plugin is further', () => {
    expect(states(all, rows('1_a', '2_m plugin', '11_m plugin'))).toMatchObject({
      '3_c': 'pending',
      '10_j': 'pending',
    });
  });

  test('without a file: missing of an installed plugin, future behind its last, kept of one that left it', () => {
    const history = rows('1_a', '2_m plugin', '5_gone plugin', '12_new plugin', '4_s kept', '11_core');
    expect(states(mergeMigrations([core, meters]), history)).toMatchObject({
      '5_gone': 'missing',
      '12_new': 'future',
      '4_s': 'kept',
      '11_core': 'future',
    });
    const { refusals, pending } = planUp(core, rows('1_a', '4_s kept'));
    expect(refusals).toEqual([]);
    expect(pending.map(({ name }) => name)).toEqual(['3_c', '10_j']);
  });

  test("what was kept is the plugin's again when it is installed again", () => {
    expect(states(mergeMigrations([core, solar]), rows('1_a', '4_s kept'))).toMatchObject({
      '4_s': 'applied',
    });
  });

  test('the short way says the same as the long one for every beginning of a combination', () => {
    for (let count = 0; count <= all.length; count += 1) {
      const history = rows(...all.slice(0, count).map(({ name, source }) => `${name} ${source}`));
      const long = planUp(all, history);
      const short = planAfter(all, count);
      expect(short.pending).toEqual(long.pending);
      expect(short.head).toEqual(long.head);
      expect(short.entries.map(({ state }) => state)).toEqual(long.entries.map(({ state }) => state));
    }
    // A plugin that came late has another fingerprint, so that it goes the long way.
    expect(fingerprintOf(mergeMigrations([core, solar]), 2)).not.toBe(
      fingerprintOf([core[0], solar[0]] as Migration[], 2),
    );
  });

  test('down of a plugin takes its own, the last first, wherever they stand', () => {
    const history = rows('1_a', '2_m plugin', '3_c', '4_s plugin', '10_j', '11_m plugin');
    expect(planDown(all, history, { plugin: 'meters' }).steps.map(({ row }) => row.name)).toEqual([
      '11_m',
      '2_m',
    ]);
    expect(planDown(all, history).steps.map(({ row }) => row.name)).toEqual(['11_m']);
  });

  test('down passes by what an uninstalled plugin left', () => {
    const { steps, refusals } = planDown(core, rows('1_a', '3_c', '4_s kept'));
    expect(refusals).toEqual([]);
    expect(steps.map(({ row }) => row.name)).toEqual(['3_c']);
  });
});
