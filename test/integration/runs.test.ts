import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { beforeAll, expect, test } from 'vitest';
import { type Central, withCentral } from '../../src/central/central.ts';
import {
  activeRuns,
  beat,
  createRun,
  leftByRun,
  findRun,
  finishRun,
  lastRun,
  listRuns,
  recordTenants,
  runTenants,
  type TenantRecord,
} from '../../src/central/runs.ts';
import { streamTenants, type TenantFilter } from '../../src/central/list/tenants.ts';
import { centralUp } from '../../src/central/schema/up.ts';
import type { Config } from '../../src/config/define.ts';
import { configOf } from '../helpers/central.ts';
import { withDatabases } from '../helpers/database.ts';
import { rowsIn } from '../helpers/engine.ts';

const databases = withDatabases();
let config: Config;
let url: string;

beforeAll(async () => {
  ({ url } = await databases.create('central'));
  config = configOf(url);
  await centralUp(config);
  await rowsIn(
    url,
    `insert into companies (name) select 'Company ' || n from generate_series(1, 10) n;
     insert into company_databases (company_id, database_name) select n, 'db_' || n from generate_series(1, 10) n`,
  );
});

const asked = <T>(use: (central: Central) => Promise<T>) => withCentral(config, use);

function record(id: string, outcome: string, more: Partial<TenantRecord> = {}): TenantRecord {
  return {
    tenant: { id, name: `Company ${id}`, database: `db_${id}`, server: 'default' },
    outcome,
    from: null,
    to: '1_a',
    applied: [{ name: '1_a', direction: 'up', durationMs: 3 }],
    durationMs: 12.5,
    attempts: 1,
    ...more,
  };
}

const NEW = { verb: 'up', selection: '--all', toolVersion: '0.0.0', filter: {} };
const COUNTS = { total: 0, failed: 0, refused: 0, busy: 0 };

async function idsOf(central: Central, filter: TenantFilter): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of streamTenants(central, filter)) ids.push(id);
  return ids;
}

test('fleet 8: a run and its tenants are kept, in batches, and read back as they were', async () => {
  await asked(async (central) => {
    const run = await createRun(central, { ...NEW, actor: 'ci' });
    const failed = record('2', 'failed', {
      error: { code: 'MIGRATION_FAILED', message: 'it holds \0 and \ud800', migration: '1_a' },
    });
    await recordTenants(central, run, [
      record('1', 'migrated'),
      failed,
      record('3', 'skipped', { reason: 'on hold' }),
    ]);
    await recordTenants(central, run, [record('1', 'migrated'), record('1', 'current')]);
    expect(await lastRun(central, 'up')).toMatchObject({
      number: run,
      outcome: 'running',
      actor: 'ci',
      counts: { current: 1, failed: 1, skipped: 1 },
    });
    await finishRun(central, run, { interrupted: false, counts: { ...COUNTS, total: 3, failed: 1 } });
    expect(await findRun(central, run)).toMatchObject({ outcome: 'failed', total: 3, counts: { failed: 1 } });
    const [only] = await runTenants(central, run, { outcomes: ['failed'] });
    expect(only).toMatchObject({
      tenant: { id: '2', database: 'db_2' },
      to: '1_a',
      durationMs: 12.5,
      error: { code: 'MIGRATION_FAILED', message: 'it holds \uFFFD and \uFFFD', migration: '1_a' },
    });
    expect(await runTenants(central, run)).toHaveLength(3);
    expect((await listRuns(central, { before: run }))[0]?.number ?? 0).toBeLessThan(run);
    await expect(findRun(central, 999_999)).rejects.toMatchObject({ code: 'UNKNOWN_RUN' });
    await expect(findRun(central, 1e30)).rejects.toMatchObject({ code: 'UNKNOWN_RUN' });
    await expect(leftByRun(central, 'last', 'down')).rejects.toMatchObject({ code: 'UNKNOWN_RUN' });
  });
});

test('fleet 9: --failed is what failed or was not tried, also of a run that was killed, and of its own retry', async () => {
  await asked(async (central) => {
    const run = await createRun(central, { ...NEW, filter: { tenants: ['1..8', '-8'] } });
    await recordTenants(central, run, [
      record('1', 'migrated'),
      record('2', 'failed'),
      record('3', 'current'),
      record('4', 'refused'),
      record('5', 'skipped'),
    ]);
    // Killed here: 6 and 7 have no row.
    const first = await leftByRun(central, 'last', 'up');
    expect(first.run).toBe(run);
    expect(await idsOf(central, { leftBy: first })).toEqual(['2', '4', '5', '6', '7']);
    const retry = await createRun(central, { ...NEW, filter: { leftBy: first } });
    await recordTenants(central, retry, [
      record('2', 'migrated'),
      record('4', 'failed'),
      record('6', 'busy'),
    ]);
    await finishRun(central, retry, { interrupted: true, counts: COUNTS });
    expect(await idsOf(central, { leftBy: await leftByRun(central, retry, 'up') })).toEqual([
      '4',
      '5',
      '6',
      '7',
    ]);
    expect(await idsOf(central, { leftBy: await leftByRun(central, run, 'up') })).toEqual([
      '2',
      '4',
      '5',
      '6',
      '7',
    ]);
  });
});

test('--failed of a run whose tenant is gone meanwhile is no error', async () => {
  await asked(async (central) => {
    await rowsIn(
      url,
      `insert into companies (id, name) values (77, 'Gone'); insert into company_databases (company_id, database_name) values (77, 'gone')`,
    );
    const run = await createRun(central, { ...NEW, filter: { tenants: ['Gone'] } });
    await rowsIn(
      url,
      'delete from company_databases where company_id = 77; delete from companies where id = 77',
    );
    expect(await idsOf(central, { leftBy: await leftByRun(central, run, 'up') })).toEqual([]);
  });
});

test('fleet 9 and 10: a run is in progress while its process lives, and interrupted when it is gone or silent', async () => {
  await asked(async (central) => {
    const run = await createRun(central, NEW);
    expect((await activeRuns(central)).map(({ number }) => number)).toContain(run);
    expect((await activeRuns(central, run)).map(({ number }) => number)).not.toContain(run);
    await rowsIn(url, `update mpm_migrate.runs set seen_at = now() - interval '1 min' where number = ${run}`);
    expect((await findRun(central, run)).outcome).toBe('interrupted');
    await beat(central, run);
    expect((await findRun(central, run)).outcome).toBe('running');
    const child = spawn('true');
    await once(child, 'close');
    await rowsIn(url, `update mpm_migrate.runs set pid = ${child.pid} where number = ${run}`);
    expect((await findRun(central, run)).outcome).toBe('interrupted');
    // Elsewhere a process with that number says nothing.
    await rowsIn(url, `update mpm_migrate.runs set host = 'elsewhere' where number = ${run}`);
    expect((await findRun(central, run)).outcome).toBe('running');
    await finishRun(central, run, {
      interrupted: false,
      counts: COUNTS,
      error: { code: 'LEDGER_LOST', message: 'x' },
    });
    expect(await findRun(central, run)).toMatchObject({ outcome: 'error', error: { code: 'LEDGER_LOST' } });
  });
});

test('fleet 9: the tenth run is newer than the ninth: numbers are ordered as numbers', async () => {
  await asked(async (central) => {
    const made: number[] = [];
    while ((made.at(-1) ?? 0) < 21) made.push(await createRun(central, { ...NEW, verb: 'down' }));
    const newest = made.toReversed();
    expect((await lastRun(central, 'down'))?.number).toBe(newest[0]);
    expect((await listRuns(central, { verb: 'down', limit: 100 })).map(({ number }) => number)).toEqual(
      newest,
    );
    expect((await activeRuns(central)).map(({ number }) => number)).toEqual(expect.arrayContaining(made));
    expect((await leftByRun(central, 'last', 'down')).run).toBe(newest[0]);
  });
});
