import { expect, test } from 'vitest';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { down } from '../../src/fleet/verbs/down.ts';
import { repair } from '../../src/fleet/verbs/repair.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { adopt } from '../../src/tenants/adopt.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

const ALL = { all: true } as const;
const DOUBLE = {
  'core/1_tariffs.sql': 'create table tariffs (price int); insert into tariffs values (10);',
  'core/2_double.sql': 'update tariffs set price = price * 2;',
};
const priceOf = 'select price from tariffs';

test('engine 53: an empty history beside objects is refused, also without a stamp; up goes on from a baseline', async () => {
  const fleet = await makeFleet(databases, { count: 3, files: DOUBLE });
  await up(fleet.config, ALL);
  const [first, second, third] = fleet.tenants;
  // As pg_dump --exclude-table-data=mpm_migrate.history, restored elsewhere: the comment is the old database's.
  await fleet.of(first, `truncate mpm_migrate.history; comment on database ${first?.database} is null`);
  await fleet.of(second, 'truncate mpm_migrate.history');
  const report = await up(fleet.config, ALL);
  expect(report.counts).toMatchObject({ refused: 2, current: 1, migrated: 0 });
  expect(report.failures).toMatchObject([{ error: { code: 'NOT_EMPTY' }, count: 2 }]);
  for (const tenant of fleet.tenants) expect(await fleet.of(tenant, priceOf)).toEqual([{ price: 20 }]);
  expect((await status(fleet.config, ALL, { deep: true })).counts).toMatchObject({ drifted: 2, current: 1 });

  await baseline(fleet.config, { tenants: ['1', '2'] }, { to: '2', write: true });
  expect((await up(fleet.config, ALL)).counts).toMatchObject({ current: 3 });
  expect((await status(fleet.config, ALL)).counts).toMatchObject({ current: 3 });
  expect(await fleet.of(third, priceOf)).toEqual([{ price: 20 }]);
});

test('engine 53: a stamp that says more than the history is refused; repair --stamp makes it true', async () => {
  const fleet = await makeFleet(databases, { count: 2, files: DOUBLE });
  await up(fleet.config, ALL);
  await fleet.of(fleet.tenants[0], "delete from mpm_migrate.history where name = '2_double'");
  const refused = {
    code: 'HISTORY_LOST',
    hint: expect.stringContaining('repair --tenant 1 --stamp --write'),
  };
  expect((await up(fleet.config, ALL)).failures).toMatchObject([{ error: refused, count: 1 }]);
  expect((await down(fleet.config, { tenants: ['1'] }, {})).failures).toMatchObject([{ error: refused }]);
  expect((await status(fleet.config, ALL, { deep: true })).counts).toMatchObject({ drifted: 1, current: 1 });
  expect(await fleet.of(fleet.tenants[0], priceOf)).toEqual([{ price: 20 }]);

  const shown = await repair(fleet.config, ALL, { kind: 'stamp' });
  expect(shown).toMatchObject({ write: false, counts: { changed: 1, unchanged: 1 } });
  expect(shown.groups).toMatchObject([
    { changes: [{ action: 'stamp', why: 'repair: 1 applied; it said 2 applied' }], count: 1 },
  ]);
  expect((await up(fleet.config, ALL)).failures).toHaveLength(1);
  await repair(fleet.config, ALL, { kind: 'stamp', write: true });
  expect((await repair(fleet.config, ALL, { kind: 'stamp', write: true })).counts).toMatchObject({
    changed: 0,
  });
  expect((await status(fleet.config, ALL)).counts).toMatchObject({ pending: 1, current: 1 });
  expect((await up(fleet.config, ALL)).counts).toMatchObject({ migrated: 1, current: 1 });
});

test('engine 53: baseline --to 0 says that nothing was applied, once; what is applied afterwards takes it back', async () => {
  const fleet = await makeFleet(databases, { count: 1, files: DOUBLE });
  const [tenant] = fleet.tenants;
  await fleet.of(tenant, 'create table legacy ()');
  expect((await up(fleet.config, ALL)).failures).toMatchObject([
    {
      error: {
        code: 'NOT_EMPTY',
        hint: expect.stringContaining('baseline --tenant 1 --to 0 --write'),
      },
    },
  ]);
  expect((await baseline(fleet.config, ALL, { to: '0' })).counts).toMatchObject({ changed: 1 });
  expect((await up(fleet.config, ALL)).failures).toHaveLength(1);
  expect((await baseline(fleet.config, ALL, { to: '0', write: true })).counts).toMatchObject({ changed: 1 });
  expect((await baseline(fleet.config, ALL, { to: '0', write: true })).counts).toMatchObject({
    unchanged: 1,
  });
  expect((await up(fleet.config, ALL)).counts).toMatchObject({ migrated: 1 });
  // It was true until something was applied.
  await fleet.of(tenant, `truncate mpm_migrate.history; comment on database ${tenant?.database} is null`);
  expect((await up(fleet.config, ALL)).failures).toMatchObject([{ error: { code: 'NOT_EMPTY' } }]);
  await baseline(fleet.config, ALL, { to: '2', write: true });
  const filled = await baseline(fleet.config, ALL, { to: '0', write: true });
  expect(filled.failures).toMatchObject([
    { error: { code: 'USAGE', hint: expect.stringContaining('down') } },
  ]);
});

test('engine 53: down --to 0 is no dead end where other objects are left', async () => {
  const fleet = await makeFleet(databases, { count: 1 });
  const [tenant] = fleet.tenants;
  await up(fleet.config, ALL);
  await fleet.of(tenant, 'create table other ()');
  expect((await down(fleet.config, ALL, { to: '0' })).counts).toMatchObject({ reverted: 1 });
  expect(await fleet.historyOf(tenant)).toEqual([]);
  expect((await status(fleet.config, ALL, { deep: true })).counts).toMatchObject({ pending: 1 });
  expect((await up(fleet.config, ALL)).counts).toMatchObject({ migrated: 1 });
});

test('engine 24: where the history lies in the schema of the tables, these are seen all the same', async () => {
  const history = { schema: 'public', table: 'migrations', owners: [] };
  const fleet = await makeFleet(databases, { count: 1, more: { history } });
  const [tenant] = fleet.tenants;
  await fleet.of(tenant, 'create table other ()');
  const refused = await up(fleet.config, ALL);
  expect(refused.failures[0]?.error).toMatchObject({
    code: 'NOT_EMPTY',
    message: expect.stringContaining('public.other') as string,
  });
  await fleet.of(tenant, 'drop table other');
  expect((await up(fleet.config, ALL)).failures).toEqual([]);
  // Its own tables are in nobody's way.
  await down(fleet.config, ALL, { to: '0' });
  expect((await up(fleet.config, ALL)).counts).toMatchObject({ migrated: 1 });
});

test('engine 53: adopt says so too', async () => {
  const fleet = await makeFleet(databases, { count: 3, files: DOUBLE });
  await up(fleet.config, ALL);
  const [first, second, third] = fleet.tenants;
  await fleet.central('delete from company_databases; delete from companies');
  await fleet.of(first, 'truncate mpm_migrate.history');
  await fleet.of(second, "delete from mpm_migrate.history where name = '2_double'");
  const noticesOf = async (tenant: typeof first) => {
    const { notices, tenant: adopted } = await adopt(fleet.config, {
      name: `Adopted ${tenant?.name}`,
      database: tenant?.database ?? '',
    });
    return { text: notices.join('\n'), id: adopted.id };
  };
  const one = await noticesOf(first);
  expect(one.text).toContain('empty history');
  expect(one.text).toContain(`mpm-migrate baseline --tenant ${one.id} --to NAME --write`);
  const two = await noticesOf(second);
  expect(two.text).toContain(`mpm-migrate repair --tenant ${two.id} --stamp --write`);
  expect((await noticesOf(third)).text).toBe('');
});
