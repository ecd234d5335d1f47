import { expect, test } from 'vitest';
import { down } from '../../src/fleet/verbs/down.ts';
import { hold } from '../../src/tenants/change.ts';
import { exec } from '../../src/fleet/verbs/exec.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import type { RunReport } from '../../src/fleet/report/report.ts';
import { withDatabases } from '../helpers/database.ts';
import { CORE, makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

const NEW = {
  'core/3_tariffs.sql':
    '-- migrate:up\ncreate table tariffs (id int);\n-- migrate:down\ndrop table tariffs;\n',
  'core/4_price.sql':
    '-- migrate:up\nalter table tariffs add price int;\n-- migrate:down\nalter table tariffs drop price;\n',
};
const LATER = {
  'core/5_later.sql': '-- migrate:up\ncreate table later (id int);\n-- migrate:down\ndrop table later;\n',
};

/** What became of each tenant, by its id. */
async function outcomesOf(take: (gather: (id: string, outcome: string) => void) => Promise<RunReport>) {
  const outcomes: Record<string, string> = {};
  const report = await take((id, outcome) => (outcomes[id] = outcome));
  return { report, outcomes };
}

test('confidence 11: a run is taken back at those it changed, and at nobody else', async () => {
  const fleet = await makeFleet(databases, { count: 8 });
  const { config, tenants } = fleet;
  const all = { all: true } as const;
  await up(config, all);
  await fleet.write(NEW);
  // The first is there before the run; three fail in it: two at the second migration, one at the first.
  await up(config, { tenants: ['1'] });
  for (const tenant of [tenants[1], tenants[2]])
    await fleet.of(
      tenant,
      `create function stop() returns event_trigger language plpgsql as $$ begin
  if exists (select from pg_event_trigger_ddl_commands() where object_identity = 'public.tariffs') and tg_tag = 'ALTER TABLE' then raise 'stop'; end if; end $$;
create event trigger stop on ddl_command_end execute function stop()`,
    );
  await fleet.of(tenants[3], 'create table tariffs (other text)');
  const first = await up(config, all);
  expect(first.counts).toMatchObject({ current: 1, failed: 3, migrated: 4 });
  const run = first.run ?? 0;
  for (const tenant of [tenants[1], tenants[2]]) await fleet.of(tenant, 'drop event trigger stop');
  // The fifth has gone on; the sixth is on hold; the seventh was taken back by hand, and migrated by another run.
  await fleet.write(LATER);
  await up(config, { tenants: ['5'] });
  await down(config, { tenants: ['7'] }, { steps: 2 });
  await up(config, { tenants: ['7'] });
  await hold(config, '6', { reason: 'asked for' });

  const { report, outcomes } = await outcomesOf((gather) =>
    down(
      config,
      { run },
      {
        onEvent: (event) => {
          if (event.type === 'tenant-finished') gather(event.result.tenant.id, event.result.outcome);
        },
      },
    ),
  );
  expect(report.selection).toBe(`--run ${run}`);
  expect(outcomes).toEqual({
    2: 'reverted',
    3: 'reverted',
    4: 'current',
    5: 'refused',
    6: 'skipped',
    7: 'current',
    8: 'reverted',
  });
  expect(report.counts).toMatchObject({ refused: 1, reverted: 3 });
  expect(report.failures[0]).toMatchObject({
    error: {
      message: expect.stringContaining(`5_later: applied after run ${run}`),
      hint: expect.stringContaining('mpm-migrate down --tenant 5 --steps 3'),
    },
  });
  const before = ['1_meters', '2_note'];
  const whole = [...before, '3_tariffs', '4_price'];
  for (const at of [1, 2, 3, 7]) expect(await fleet.historyOf(tenants[at])).toEqual(before);
  for (const at of [0, 5]) expect(await fleet.historyOf(tenants[at])).toEqual(whole);
  for (const at of [4, 6]) expect(await fleet.historyOf(tenants[at])).toEqual([...whole, '5_later']);

  // The remedy, and the same again, which finds only the one that is on hold.
  await down(config, { tenants: ['5'] }, { steps: 3 });
  expect(await fleet.historyOf(tenants[4])).toEqual(before);
  const again = await down(config, { run }, { includeHeld: true });
  expect(again.counts).toMatchObject({ failed: 0, refused: 0, reverted: 1 });
  expect(await fleet.historyOf(tenants[5])).toEqual(before);
});

test('confidence 11: a run that was killed before it recorded a tenant is taken back there as well', async () => {
  const fleet = await makeFleet(databases, { count: 3 });
  const { config, tenants } = fleet;
  const { run } = await up(config, { tenants: ['1', '2'] });
  await fleet.central(`delete from mpm_migrate.run_tenants where tenant_id = '2';
    update mpm_migrate.runs set outcome = 'running', finished_at = null, host = 'gone', seen_at = now() - interval '1 h' where number = ${run}`);
  const other = await up(config, { tenants: ['3'] });
  expect(other.counts).toMatchObject({ migrated: 1 });
  expect((await down(config, { run: run ?? 0 })).counts).toMatchObject({ total: 2, reverted: 2 });
  expect(await Promise.all(tenants.map((tenant) => fleet.historyOf(tenant)))).toEqual([
    [],
    [],
    ['1_meters', '2_note'],
  ]);
});

test('confidence 11: what is no finished run of up is refused before anything is done', async () => {
  const fleet = await makeFleet(databases, { count: 1, files: CORE });
  const { config } = fleet;
  const { run } = await up(config, { all: true });
  const looked = await exec(config, { all: true }, 'create table seen ()', { write: true });
  await expect(down(config, { run: looked.run ?? 0 })).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('is not a run of up: exec --all'),
  });
  await expect(down(config, { run: 999 })).rejects.toMatchObject({ code: 'UNKNOWN_RUN' });
  await expect(down(config, { run: run ?? 0 }, { steps: 1 })).rejects.toMatchObject({
    code: 'USAGE',
    message: "--steps and --run can't be combined",
  });
  await fleet.central(
    `update mpm_migrate.runs set outcome = 'running', finished_at = null, seen_at = now(), host = 'elsewhere' where number = ${run}`,
  );
  await expect(down(config, { run: run ?? 0 })).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('still in progress, on elsewhere'),
  });
  expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['1_meters', '2_note']);
});
