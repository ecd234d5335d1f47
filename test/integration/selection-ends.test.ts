import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exitCodeOf, planExitCode, statusExitCode, syncExitCode } from '../../src/cli/exit-code.ts';
import { down } from '../../src/fleet/verbs/down.ts';
import { exec } from '../../src/fleet/verbs/exec.ts';
import { plan } from '../../src/fleet/verbs/plan.ts';
import { repair } from '../../src/fleet/verbs/repair.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { sync } from '../../src/fleet/verbs/sync.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { reportText } from '../../src/ui/report/text.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';
import { plain } from '../helpers/samples.ts';

const databases = withDatabases();
const ALL = { all: true };

test('fleet 32: tenants whose own folders lack core migrations are named with sync, and the end is 4', async () => {
  const fleet = await makeFleet(databases, { count: 3 });
  const { config, tenants } = fleet;
  // In a fleet in which no tenant has a folder, nothing is out of date.
  const none = await sync(config, ALL, { check: true });
  expect(none).toMatchObject({ tenants: 3, following: 3, changes: [] });
  expect(syncExitCode(none, { check: true })).toBe(0);

  await sync(config, { tenants: ['1', '2'] });
  expect(exitCodeOf(await up(config, ALL))).toBe(0);
  await fleet.write({ 'core/3_kind.sql': 'alter table meters add kind text;' });
  const check = await sync(config, ALL, { check: true });
  expect(check).toMatchObject({ following: 1, changes: [{ copied: 1 }, { copied: 1 }] });
  expect(syncExitCode(check, { check: true })).toBe(4);
  const planned = await plan(config, ALL);
  expect(planned).toMatchObject({ foldersBehind: 2, behindCore: [{ id: '1' }, { id: '2' }] });
  expect(planExitCode(planned, { exitCode: false })).toBe(0);
  expect(planExitCode(planned, { exitCode: true })).toBe(4);

  const report = await up(config, ALL);
  expect(report).toMatchObject({ counts: { migrated: 1, current: 2 }, foldersBehind: 2 });
  expect(exitCodeOf(report)).toBe(4);
  const text = reportText(report, plain(120));
  expect(text).toContain(
    '2 are behind core: their own folders lack core migrations (company-1 and company-2)',
  );
  expect(text).toContain('mpm-migrate sync --tenant 1 --tenant 2');
  expect(text).toContain('1 migrated   2 current');
  expect(text).toContain('2 behind core');
  expect(exitCodeOf(await up(config, ALL, { fast: true }))).toBe(4);
  // Up to where they are to go, nobody lacks anything.
  expect(exitCodeOf(await up(config, ALL, { to: '2' }))).toBe(0);
  const looked = await status(config, ALL);
  expect(looked).toMatchObject({ counts: { current: 3 }, foldersBehind: 2 });
  expect(statusExitCode(looked, { exitCode: true })).toBe(4);
  expect((await status(config, { behind: true })).counts.total).toBe(2);

  const pinned = { ...config, folders: 'pinned' as const };
  expect(exitCodeOf(await up(pinned, ALL))).toBe(0);
  expect(await status(pinned, ALL)).toMatchObject({ foldersBehind: 0 });
  expect(planExitCode(await plan(pinned, ALL), { exitCode: true })).toBe(0);

  // Everything else is done before: who fails is a 3.
  await fleet.write({ 'core/4_bad.sql': 'select 1 / 0;' });
  expect(exitCodeOf(await up(config, ALL))).toBe(3);
  await rm(join(config.root, 'core/4_bad.sql'));
  await sync(config, ALL);
  expect(existsSync(join(config.migrations.tenants, tenants[2]?.database ?? ''))).toBe(true);
  expect(exitCodeOf(await up(config, ALL))).toBe(0);
});

test('fleet 33: out of order, on hold, changed: each is gone past by a flag of its own, for any selection', async () => {
  const fleet = await makeFleet(databases, { count: 2 });
  const { config } = fleet;
  await up(config, ALL);
  await fleet.write({
    'core/1_meters.sql': 'create table meters (id int primary key); -- edited',
    'core/0_early.sql': 'create table early ();',
  });

  const refused = await up(config, ALL);
  expect(refused.counts).toMatchObject({ refused: 2 });
  expect(refused.failures[0]?.error.hint).toContain('--out-of-order');
  // Each flag is a part of it.
  expect((await up(config, ALL, { outOfOrder: true })).counts).toMatchObject({ refused: 2 });
  expect((await up(config, ALL, { acceptChanged: true })).counts).toMatchObject({ refused: 2 });
  const both = { outOfOrder: true, acceptChanged: true };
  expect((await plan(config, ALL, both)).counts).toMatchObject({ pending: 2 });

  await fleet.central("update company_databases set status = 'hold', reason = 'audit' where company_id = 2");
  expect((await up(config, ALL, both)).counts).toMatchObject({ migrated: 1, skipped: 1 });
  expect((await plan(config, ALL, { ...both, includeHeld: true })).counts).toMatchObject({ pending: 1 });
  const held = await up(config, ALL, { ...both, includeHeld: true });
  expect(held.counts).toMatchObject({ migrated: 1, current: 1 });
  expect(held.notices.join('\n')).toContain('--include-held: went past "on hold: audit"');
  expect(held.notices.join('\n')).toContain('out of order: 0_early is older than what is already applied');
  expect(held.notices.join('\n')).toContain('--accept-changed: 1_meters was changed after it was applied');
  // What was changed stays so.
  expect((await status(config, { tenants: ['1'] })).tenants?.[0]?.drift).toEqual({ changed: 1 });
  // It has no down section, which is another reason than the hold.
  expect((await down(config, { tenants: ['2'] })).counts).toMatchObject({ skipped: 1 });
  expect((await down(config, { tenants: ['2'] }, { includeHeld: true })).counts).toMatchObject({
    refused: 1,
  });

  // As the configuration says.
  await fleet.central("update company_databases set status = 'active', reason = null");
  await repair(config, ALL, { kind: 'checksums', write: true });
  await fleet.write({ 'core/4_kind.sql': 'alter table meters add kind text;' });
  await up(config, ALL);
  await fleet.write({ 'core/3_late.sql': 'create table late ();' });
  const applying = { ...config, outOfOrder: 'apply' as const };
  expect((await up(config, ALL)).counts).toMatchObject({ refused: 2 });
  expect((await status(applying, ALL)).counts).toMatchObject({ pending: 2, drifted: 0 });
  expect((await plan(applying, ALL)).counts).toMatchObject({ pending: 2 });
  expect((await up(applying, ALL)).counts).toMatchObject({ migrated: 2 });
});

test('a label that nobody has, and named tenants that are all on hold, end with 4; an empty slice with 0', async () => {
  const fleet = await makeFleet(databases, { count: 2 });
  const { config } = fleet;
  await fleet.central(`update company_databases set labels = '{"tier":"gold"}' where company_id = 1`);
  const gold = { labels: { tier: 'gold' } };
  const nobody = { labels: { tier: 'platinum' } };
  const report = await up(config, nobody);
  expect(report.unmet).toBe('no tenant has the label tier=platinum');
  expect(exitCodeOf(report)).toBe(4);
  expect(reportText(report, plain(80))).toBe(
    '✖ Nothing was done for --label tier=platinum: no tenant has the label tier=platinum.\n',
  );
  expect(exitCodeOf(await exec(config, nobody, 'select 1'))).toBe(4);
  expect(statusExitCode(await status(config, nobody), { exitCode: false })).toBe(4);
  expect(planExitCode(await plan(config, nobody), { exitCode: false })).toBe(4);
  expect(syncExitCode(await sync(config, nobody), { check: false })).toBe(4);
  expect((await repair(config, nobody, { kind: 'checksums' })).unmet).toBe(report.unmet);
  expect((await up(config, { tenants: ['2'], ...gold })).unmet).toBe(
    'no tenant of those that were named has the label tier=gold',
  );

  // The slice in which the one of gold is not.
  const slices = await Promise.all(['1/2', '2/2'].map((shard) => plan(config, { ...gold, shard })));
  const empty = slices.findIndex(({ counts }) => counts.total === 0) + 1;
  expect(exitCodeOf(await up(config, { ...gold, shard: `${empty}/2` }))).toBe(0);
  expect(exitCodeOf(await up(config, { ...nobody, shard: '1/2' }))).toBe(4);

  await fleet.central("update company_databases set status = 'hold', reason = 'audit' where company_id = 1");
  const held = await up(config, { tenants: ['1'] });
  const ways = 'release it (mpm-migrate tenant release 1)';
  expect(held).toMatchObject({
    unmet: `all named tenants are on hold: ${ways}, or add --include-held`,
    counts: { skipped: 1 },
  });
  const written = await exec(config, { tenants: ['1'] }, 'select 1', { write: true });
  expect(written).toMatchObject({ unmet: `all named tenants are on hold: ${ways}` });
  expect(exitCodeOf(held)).toBe(4);
  expect(exitCodeOf(await up(config, { tenants: ['1'], shard: `${empty}/2` }))).toBe(4);
  expect(exitCodeOf(await up(config, { tenants: ['1', '2'] }))).toBe(0);
  expect(exitCodeOf(await up(config, { tenants: ['1'] }, { includeHeld: true }))).toBe(0);
  expect(exitCodeOf(await exec(config, { tenants: ['1'] }, 'select 1'))).toBe(0);
  await fleet.central('delete from company_databases');
  await fleet.central('delete from companies');
  expect(exitCodeOf(await up(config, nobody))).toBe(0);
});
