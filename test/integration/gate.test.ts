import { expect, test } from 'vitest';
import { gateExitCode } from '../../src/cli/exit-code.ts';
import { gate } from '../../src/fleet/verbs/gate.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { withDatabases } from '../helpers/database.ts';
import { addTenants, CORE, makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();
const all = { all: true };

test('confidence 8: all are there, or the stragglers by name; those on hold do not count', async () => {
  const files = { ...CORE, 'core/3_more.sql': 'alter table meters add more int;' };
  const fleet = await makeFleet(databases, { count: 6, files });
  const { config } = fleet;
  await up(config, all, { to: '2' });
  await up(config, { tenants: ['1'] });
  const open = await gate(config, all, { atLeast: '2_note' });
  expect(open).toMatchObject({ open: true, counts: { total: 6, there: 6, behind: 0 }, stamped: 6 });
  expect(gateExitCode(open)).toBe(0);

  await fleet.central("update company_databases set status = 'hold', reason = 'audit' where company_id = 3");
  const shut = await gate(config, all, { atLeast: '3' });
  expect(shut).toMatchObject({
    open: false,
    atLeast: '3_more',
    counts: { total: 6, there: 1, behind: 4, passed: 1 },
    passed: [{ tenant: { id: '3' }, reason: 'on hold: audit' }],
  });
  expect(shut.stragglers.map(({ tenant, head, lacks }) => [tenant.id, head, lacks])).toEqual(
    ['2', '4', '5', '6'].map((id) => [id, '2_note', '3_more']),
  );
  expect(gateExitCode(shut)).toBe(4);

  await up(config, all);
  expect(await gate(config, all, { atLeast: '3' })).toMatchObject({ open: true, counts: { passed: 1 } });
  const held = await gate(config, all, { atLeast: '3', includeHeld: true });
  expect(held.stragglers.map(({ tenant }) => tenant.id)).toEqual(['3']);

  await addTenants(fleet, [{ id: '9', name: 'gone', database: `${databases.prefix}gone` }]);
  const lost = await gate(config, all, { atLeast: '3' });
  expect(lost).toMatchObject({ open: false, unreachable: [{ tenant: { id: '9' } }] });
  expect(gateExitCode(lost)).toBe(3);
  await expect(gate(config, all, { atLeast: 'nothing' })).rejects.toMatchObject({ code: 'USAGE' });
});

test('confidence 8: a stamp that is missing is no answer; --wait looks again', async () => {
  const fleet = await makeFleet(databases, { count: 6 });
  const { config, tenants } = fleet;
  await up(config, all);
  await databases.query(`comment on database ${tenants[1]?.database} is null`);
  expect(await gate(config, all, { atLeast: '2' })).toMatchObject({ open: true, stamped: 5 });
  await fleet.write({ 'core/3_more.sql': 'alter table meters add more int;' });
  const short = await gate(config, all, { atLeast: '3', wait: 1 });
  expect(short).toMatchObject({ open: false, counts: { behind: 6 } });
  const waiting = gate(config, all, { atLeast: '3', wait: '2min' });
  await up(config, all);
  expect(await waiting).toMatchObject({ open: true, counts: { there: 6 } });
  const stop = new AbortController();
  const stopped = gate(config, all, { atLeast: '3', includeHeld: true, wait: '2min', signal: stop.signal });
  stop.abort();
  expect(gateExitCode(await stopped)).toBe(130);
});

test('confidence 8: what a folder of its own lacks is not there', async () => {
  const fleet = await makeFleet(databases, { count: 2 });
  const [first] = fleet.tenants;
  await fleet.write({ [`tenants/${first?.database}/1_meters.sql`]: CORE['core/1_meters.sql'] });
  await up(fleet.config, all);
  const report = await gate(fleet.config, all, { atLeast: '2_note' });
  expect(report.stragglers.map(({ tenant, lacks }) => [tenant.id, lacks])).toEqual([['1', '2_note']]);
  const pinned = await gate({ ...fleet.config, folders: 'pinned' }, all, { atLeast: '2_note' });
  expect(pinned.open).toBe(true);
});
