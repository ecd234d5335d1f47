import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cli } from '../helpers/cli.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

function steady(text: string): string {
  return text.replaceAll(/\d+\.\d+s/g, '0.0s').replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'TIME');
}

test('confidence 7: groups as text, the SQL of one tenant, reports, exit codes', async () => {
  const fleet = await makeFleet(databases, { count: 4 });
  const content = { central: fleet.config.central, migrations: { core: 'core', tenants: 'tenants' } };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  const mpm = (...args: string[]) => cli(args, { cwd: fleet.config.root });
  await mpm('up', '--all');
  const clean = await mpm('verify');
  expect(clean).toMatchObject({ code: 0 });
  expect(steady(clean.stdout)).toBe('✔ 4 as built   4 tenants in 0.0s   run 2\n');

  for (const tenant of fleet.tenants.slice(0, 2)) await fleet.of(tenant, 'alter table meters drop note');
  await fleet.of(
    fleet.tenants[2],
    `alter table meters add "a
b; drop table meters; --" int, alter id type bigint`,
  );
  const found = await mpm('verify', '--report', 'html=report.html', '--report', 'junit=report.xml');
  expect(found).toMatchObject({ code: 4 });
  expect(steady(found.stdout)).toBe(`✖ 2 tenants differ the same way: meters.note is missing
    company-1 and company-2

✖ company-3 differs
    meters.a b; drop table meters; -- is extra: no migration makes it
    meters.id: type is bigint, not integer

✔ 1 as built   ✖ 3 differ   4 tenants in 0.0s   run 3
The SQL that fixes it:  mpm-migrate verify --tenant 1
`);
  const html = await readFile(join(fleet.config.root, 'report.html'), 'utf8');
  expect(html).toContain('meters.note is missing');
  expect(await readFile(join(fleet.config.root, 'report.xml'), 'utf8')).toContain('type="DRIFT"');

  const one = await mpm('verify', '--tenant', '3');
  expect(steady(one.stdout)).toBe(`✖ company-3 differs
    meters.a b; drop table meters; -- is extra: no migration makes it
    meters.id: type is bigint, not integer
      type
        + integer
        - bigint

    -- meters.a
    -- b; drop table meters; -- is extra: no migration makes it. This loses what is in it: alter table "public"."meters" drop column "a
    -- b; drop table meters; --";
    alter table "public"."meters" alter column "id" type integer;

✖ 1 differs   1 tenant in 0.0s   run 4
`);
  const status = await mpm('status');
  expect(steady(status.stdout)).toContain(
    'Schemas verified TIME UTC (run 4, --tenant 3): 0 as built, 1 differ',
  );

  await databases.query(`alter database ${fleet.tenants[3]?.database} allow_connections false`);
  expect(await mpm('verify')).toMatchObject({ code: 3 });
  await databases.query(`alter database ${fleet.tenants[3]?.database} allow_connections true`);
});

test('confidence 8: gate as text, and its exit codes', async () => {
  const fleet = await makeFleet(databases, { count: 3 });
  const content = { central: fleet.config.central, migrations: { core: 'core', tenants: 'tenants' } };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  const mpm = (...args: string[]) => cli(args, { cwd: fleet.config.root });
  await mpm('up', '--tenant', '1');
  await fleet.central("update company_databases set status = 'hold', reason = 'audit' where company_id = 3");
  const shut = await mpm('gate', '--at-least', '2');
  expect(shut.code).toBe(4);
  expect(steady(shut.stdout)).toBe(`› company-2  lacks 1_meters, without migrations

– company-3  doesn't count: on hold: audit

✖ not all have 2_note: 1 of 2   › 1 behind   1 don't count   0.0s
`);
  await mpm('up', '--all');
  const open = await mpm('gate', '--at-least', '2', '--wait', '1s');
  expect(open.code).toBe(0);
  expect(steady(open.stdout)).toContain('✔ all have 2_note: 2 tenants');
  expect((await mpm('gate', '--at-least', 'none')).code).toBe(2);
});
