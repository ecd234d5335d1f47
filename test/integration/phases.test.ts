import { describe, expect, test } from 'vitest';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { down } from '../../src/fleet/verbs/down.ts';
import { gate } from '../../src/fleet/verbs/gate.ts';
import { plan } from '../../src/fleet/verbs/plan.ts';
import { rehearse } from '../../src/fleet/verbs/rehearse.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { verify } from '../../src/fleet/verbs/verify.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { withDatabases } from '../helpers/database.ts';
import { CORE, makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();
const all = { all: true };
const contract = { phase: 'contract' as const };

const DROP = {
  'core/3_drop.sql':
    '-- migrate:up phase:contract\nalter table meters drop note;\n-- migrate:down\nalter table meters add note text;\n',
};
const LATER = { 'core/4_later.sql': 'create table later ();' };
const V = ['1_meters', '2_note'];

function fleetOf(count: number, files: Record<string, string> = {}): Promise<TestFleet> {
  return makeFleet(databases, { count, files: { ...CORE, ...files } });
}

describe('confidence 9', () => {
  test('what is deferred is passed by and said, later ones are applied, and afterwards it is not out of order', async () => {
    const fleet = await fleetOf(3, { ...DROP, ...LATER });
    const { config, tenants } = fleet;
    const first = await up(config, all);
    expect(first.counts).toMatchObject({ migrated: 3 });
    expect(JSON.stringify(first.notices)).toContain(
      '3_drop: deferred (phase:contract). To apply: mpm-migrate up --all --phase contract',
    );
    for (const tenant of tenants) expect(await fleet.historyOf(tenant)).toEqual([...V, '4_later']);
    // Nobody is behind, and nothing is to be done.
    expect(await up(config, all)).toMatchObject({ counts: { current: 3 } });
    expect(await status(config, all)).toMatchObject({ counts: { current: 3, pending: 0 } });
    expect(await plan(config, all)).toMatchObject({ counts: { current: 3 } });
    expect(await gate(config, all, { atLeast: '4' })).toMatchObject({ open: true, stamped: 3 });
    // Asked for by name, it is to be there.
    expect(await gate(config, all, { atLeast: '3' })).toMatchObject({ open: false, counts: { behind: 3 } });

    const canary = await up(config, { tenants: ['2', '3'] }, contract);
    expect(canary.counts).toMatchObject({ migrated: 2 });
    expect(await fleet.historyOf(tenants[1])).toEqual([...V, '4_later', '3_drop']);
    // Both ways stand beside each other, and go on.
    await fleet.write({
      'core/5_more.sql': '-- migrate:up\ncreate table more ();\n-- migrate:down\ndrop table more;',
    });
    expect((await up(config, all)).counts).toMatchObject({ migrated: 3 });
    expect(await fleet.historyOf(tenants[0])).toEqual([...V, '4_later', '5_more']);
    expect(await fleet.historyOf(tenants[1])).toEqual([...V, '4_later', '3_drop', '5_more']);
    expect(await up(config, all)).toMatchObject({ counts: { current: 3 } });
    const known = await up(config, all, { fast: true, concurrency: 1 });
    expect(known.counts).toMatchObject({ current: 3 });
    // Of those that have it, one is looked into: by that one the stamps of the others are understood.
    const stamped = await gate(config, all, { atLeast: '5', concurrency: 1 });
    expect(stamped).toMatchObject({ open: true, counts: { there: 3 }, stamped: 2 });
    expect(await verify(config, all)).toMatchObject({ counts: { current: 3, failed: 0 }, groups: [] });
    await down(config, { tenants: ['2'] }, { to: '4_later' });
    expect(await fleet.historyOf(tenants[1])).toEqual([...V, '4_later']);
  });

  test('it waits for every tenant of the fleet, whoever is selected; those on hold are named', async () => {
    const fleet = await fleetOf(4, DROP);
    const { config, tenants } = fleet;
    await up(config, { tenants: ['1', '2'] });
    await fleet.central(
      "update company_databases set status = 'hold', reason = 'audit' where company_id = 4",
    );
    await expect(up(config, { tenants: ['1'] }, contract)).rejects.toMatchObject({
      code: 'CONTRACT_REFUSED',
      message: `1 tenant lacks what comes before 3_drop: ${tenants[2]?.name} (lacks 1_meters)`,
      exit: 4,
      hint: expect.stringContaining('mpm-migrate up --all') as string,
    });
    expect(await fleet.historyOf(tenants[0])).toEqual(V);
    await up(config, all);
    const report = await up(config, { tenants: ['1'] }, contract);
    expect(report.counts).toMatchObject({ migrated: 1 });
    expect(report.notices).toContain(
      `--phase contract: not asked whether they have what comes before 3_drop: ${tenants[3]?.name} (on hold: audit)`,
    );
    await databases.query(`alter database ${tenants[2]?.database} with allow_connections false`);
    await fleet.write({ 'core/5_drop.sql': '-- migrate:up phase:contract\ndrop table meters;\n' });
    await databases.query(`comment on database ${tenants[2]?.database} is null`);
    await expect(up(config, { tenants: ['1'] }, contract)).rejects.toMatchObject({
      code: 'CONTRACT_UNCHECKED',
      exit: 3,
    });
    await databases.query(`alter database ${tenants[2]?.database} with allow_connections true`);
  });

  test('two of them go in their order; --to stops in front of the second', async () => {
    const fleet = await fleetOf(1, {
      ...DROP,
      'core/5_end.sql': '-- migrate:up phase:contract\ndrop table meters;\n',
    });
    const { config, tenants } = fleet;
    await up(config, all);
    await up(config, all, { ...contract, to: '3' });
    expect(await fleet.historyOf(tenants[0])).toEqual([...V, '3_drop']);
    // Only what was asked for is released.
    expect(await fleet.central('select name from mpm_migrate.released')).toEqual([{ name: '3_drop' }]);
    await up(config, all, contract);
    expect(await fleet.historyOf(tenants[0])).toEqual([...V, '3_drop', '5_end']);
    expect(await up(config, all, contract)).toMatchObject({
      notices: ['--phase contract: nothing is deferred'],
    });
  });

  test('new tenants wait with the fleet, from a template too; released, it is as any other to late ones', async () => {
    const fleet = await fleetOf(2, { ...DROP, ...LATER });
    const { config } = fleet;
    await up(config, all);
    const headOf = async (name: string) => {
      const made = await provision(config, { name });
      const database = made.tenant.database;
      const history = await fleet.historyOf({ id: made.tenant.id, name, database });
      return { ...made, history };
    };
    const early = await headOf('Early');
    expect(early).toMatchObject({ head: '4_later', history: [...V, '4_later'] });
    await fleet.central("update company_databases set status = 'hold' where company_id = 2");
    // Part of the fleet releases nothing.
    await up(config, { all: true, exclude: ['1'] }, contract);
    expect((await headOf('Between')).history).toEqual([...V, '4_later']);
    await up(config, all, contract);
    expect(await fleet.central('select name, run from mpm_migrate.released')).toMatchObject([
      { name: '3_drop' },
    ]);

    const late = await headOf('Late');
    expect(late).toMatchObject({ head: '4_later', history: [...V, '3_drop', '4_later'] });
    expect((await up(config, all)).counts).toMatchObject({ migrated: 0, skipped: 1 });
    await fleet.central("update company_databases set status = 'active' where company_id = 2");
    // One of each kind is looked into that the files' order doesn't tell: who has it last, and who lacks it.
    const found = await status(config, all, { concurrency: 1 });
    expect(found).toMatchObject({ counts: { current: 4, pending: 1 }, stamped: 3 });
    expect((await up(config, all)).counts).toMatchObject({ migrated: 1 });
    expect(await fleet.historyOf(fleet.tenants[1])).toEqual([...V, '4_later', '3_drop']);
    expect(await gate(config, all, { atLeast: '3' })).toMatchObject({ open: true });
    expect(await verify(config, all)).toMatchObject({ counts: { current: 5, failed: 0 }, groups: [] });
  });

  test('a baseline leaves it, unless it is named; a rehearsal takes it where it is asked for', async () => {
    const fleet = await fleetOf(2, { ...DROP, ...LATER });
    const { config, tenants } = fleet;
    const made = 'create table meters (id int primary key, note text); create table later ();';
    await fleet.of(tenants[0], made);
    await fleet.of(tenants[1], `${made} alter table meters drop note`);
    const left = await baseline(config, { tenants: ['1'] }, { to: '4', write: true });
    expect(left.failures).toEqual([]);
    expect(JSON.stringify(left.notices)).toContain('3_drop: deferred (phase:contract), and not recorded');
    const namesOf = async (tenant: (typeof tenants)[number] | undefined) =>
      (
        await fleet.of<{ name: string }>(tenant, 'select name from mpm_migrate.history order by position')
      ).map(({ name }) => name);
    expect(await namesOf(tenants[0])).toEqual([...V, '4_later']);
    await baseline(config, { tenants: ['2'] }, { to: '3', write: true });
    expect(await namesOf(tenants[1])).toEqual([...V, '3_drop']);
    await baseline(config, { tenants: ['2'] }, { to: '4', write: true });

    expect((await rehearse(config, all)).counts).toMatchObject({ current: 2 });
    const tried = await rehearse(config, all, contract);
    expect(tried.migrations.map(({ name }) => name)).toEqual(['3_drop']);
    expect((await up(config, all, contract)).counts).toMatchObject({ migrated: 1, current: 1 });
    expect(await namesOf(tenants[0])).toEqual([...V, '4_later', '3_drop']);
  });

  test('a TypeScript migration says it as well; the marker is no part of the checksum', async () => {
    const fleet = await fleetOf(1, {
      'core/3_drop.sql': 'alter table meters drop note;',
      'core/4_end.ts': `import { sql } from 'kysely';
export const config = { phase: 'contract' };
export async function up(db) { await sql\`drop table meters\`.execute(db); }`,
    });
    const { config, tenants } = fleet;
    await up(config, all);
    expect(await fleet.historyOf(tenants[0])).toEqual([...V, '3_drop']);
    await fleet.write(DROP);
    expect(await up(config, all)).toMatchObject({ counts: { current: 1 } });
    await up(config, all, contract);
    expect(await fleet.historyOf(tenants[0])).toEqual([...V, '3_drop', '4_end']);
  });

  test.each([
    [{ 'core/3_x.sql': '-- migrate:up phase:contrat\nselect 1;' }, /phase:contrat is not a phase/],
    [
      { 'core/3_x.sql': '-- migrate:up\nselect 1;\n-- migrate:down phase:contract\nselect 2;' },
      /it has no place at the way back/,
    ],
    [
      { 'core/3_x.ts': "export const phase = 'contract';\nexport async function up() {}" },
      /its export phase would be ignored/,
    ],
    [
      { 'core/3_x.ts': "export const config = { phase: 'expand' };\nexport async function up() {}" },
      /config\.phase can only be 'contract'/,
    ],
  ])('what is no phase is refused when the files are read: %o', async (files, message) => {
    const fleet = await fleetOf(1, files);
    await expect(up(fleet.config, all)).rejects.toThrow(message);
  });
});
