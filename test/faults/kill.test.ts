import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { cli, startCli } from '../helpers/cli.ts';
import { closeGate, GATE, withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

/** `MPM_TEST_KILLS=30 npx vitest run --project faults kill`: 30 kills over 200 tenants. */
const kills = Number(process.env['MPM_TEST_KILLS'] ?? 4);
const count = kills >= 30 ? 200 : 24;

async function folder(fleet: TestFleet): Promise<{ cwd: string; timeout: number }> {
  const migrations = { core: 'core', tenants: 'tenants' };
  const content = { central: fleet.config.central, migrations };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  return { cwd: fleet.config.root, timeout: 120_000 };
}

test(
  `fleet 9: kill -9 at ${kills} random moments over ${count} tenants: each migration once, and the ledger tells the truth`,
  async () => {
    const fleet = await makeFleet(databases, {
      count,
      files: { 'core/0001_log.sql': 'create table log (n int);' },
    });
    const where = await folder(fleet);
    for (let kill = 1; kill <= kills; kill++) {
      // Always something to do; what is applied twice is seen in the data.
      const name = String(kill + 1).padStart(4, '0');
      await fleet.write({
        [`core/${name}_log.sql`]: `insert into log values (${kill + 1}); select pg_sleep(0.01);`,
      });
      const { child, result } = await startCli(['up', '--all', '--concurrency', '4'], where);
      await sleep(randomInt(300, 300 + count * 25));
      child.kill('SIGKILL');
      await result;
    }
    const last = await cli(['up', '--all', '--json'], where);
    expect(last.code).toBe(0);
    const names = Array.from({ length: kills + 1 }, (_, at) => `${String(at + 1).padStart(4, '0')}_log`);
    for (const tenant of fleet.tenants) {
      expect(await fleet.historyOf(tenant)).toEqual(names);
      const [log] = await fleet.of<{ rows: number; values: number }>(
        tenant,
        'select count(*)::int as rows, count(distinct n)::int as values from log',
      );
      expect(log).toEqual({ rows: kills, values: kills });
    }
    const { stdout } = await cli(['run', 'list', '--limit', '1000', '--json'], where);
    const { runs } = JSON.parse(stdout) as { runs: { outcome: string; total: number | null }[] };
    expect(runs[0]).toMatchObject({ outcome: 'done', total: count });
    // One that was killed before it began has no row; one that had ended before the kill is done.
    expect(runs.length).toBeLessThanOrEqual(kills + 1);
    for (const { outcome } of runs.slice(1)) expect(['interrupted', 'done']).toContain(outcome);
    const unknown = await fleet.central(
      "select from mpm_migrate.run_tenants where outcome not in ('migrated', 'current')",
    );
    expect(unknown).toEqual([]);
  },
  kills * 20_000 + 60_000,
);

test('fleet 6: a second SIGTERM cancels the statements, which roll back; exit code 130', async () => {
  const files = { 'core/1_slow.sql': 'create table slow (); select pg_sleep(600);' };
  const fleet = await makeFleet(databases, { count: 3, files });
  const where = await folder(fleet);
  const { child, result } = await startCli(['up', '--all', '--concurrency', '2'], where);
  const sleeping = `select from pg_stat_activity where wait_event = 'PgSleep'
    and starts_with(datname, '${databases.prefix}') and application_name like 'mpm-migrate/%'`;
  while ((await databases.query(sleeping)).length < 2) await sleep(50);
  const heard = new Promise<void>((resolve) => {
    child.stderr.on('data', (text: Buffer) => {
      if (String(text).includes('Stopping')) resolve();
    });
  });
  child.kill('SIGTERM');
  await heard;
  child.kill('SIGTERM');
  const { code, stderr, stdout } = await result;
  expect(code).toBe(130);
  expect(stderr).toContain('Cancelling what is in work');
  expect(stdout).toContain('Interrupted');
  for (const tenant of fleet.tenants) {
    expect(await fleet.of(tenant, "select to_regclass('slow') as slow")).toEqual([{ slow: null }]);
  }
  expect(await databases.query(sleeping)).toEqual([]);
}, 60_000);

test('--pause off a terminal is a usage error, and nothing is touched', async () => {
  const fleet = await makeFleet(databases, { count: 1 });
  const where = await folder(fleet);
  const { code, stderr } = await cli(['up', '--all', '--canary', '1', '--pause'], where);
  expect({ code, said: stderr.includes('--pause asks on a terminal') }).toEqual({ code: 2, said: true });
  expect(await fleet.central('select from mpm_migrate.runs')).toEqual([]);
  const canary = await cli(['up', '--all', '--canary', '1'], where);
  expect(canary.stdout).toContain('✔ wave canary  1 migrated');
  const status = await cli(['status', '--matrix'], where);
  expect(status.stdout).toContain('All tenants are the same.');
  const none = await cli(['up', '--all', '--shard', 'auto'], where);
  expect({ code: none.code, said: none.stderr.includes('MPM_SHARD_INDEX') }).toEqual({ code: 2, said: true });
});

test('confidence 4: a rehearsal that is killed leaves nothing, and no backend that goes on', async () => {
  const fleet = await makeFleet(databases, {
    count: 1,
    files: { 'core/1_log.sql': 'create table log (n int);' },
  });
  const where = await folder(fleet);
  await cli(['up', '--all'], where);
  await fleet.write({ 'core/2_more.sql': `insert into log values (1); alter table log add m int; ${GATE}` });
  const [tenant] = fleet.tenants;
  const stamp = () =>
    fleet.of(
      tenant,
      `select relfilenode, relnatts, (select count(*) from log) as rows, (select count(*) from mpm_migrate.history) as applied,
  shobj_description((select oid from pg_database where datname = current_database()), 'pg_database') as stamp from pg_class where relname = 'log'`,
    );
  const before = await stamp();
  const runs = () => fleet.central('select number, outcome from mpm_migrate.runs');
  const ledger = await runs();
  const gate = await closeGate(tenant?.database ?? '');
  try {
    const { child, result } = await startCli(['rehearse', '--all', '--lock-limit', '10min'], where);
    await gate.reached();
    child.kill('SIGKILL');
    await result;
    // Whom nobody waits for any more gives its locks back, though what it waits for has not come.
    expect(await stamp()).toEqual(before);
  } finally {
    await gate.open();
  }
  expect(await runs()).toEqual(ledger);
});
