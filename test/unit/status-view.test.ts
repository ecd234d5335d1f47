import { expect, test } from 'vitest';
import type { StatusReport, StatusRow } from '../../src/fleet/report/status-report.ts';
import { statusText } from '../../src/ui/views/status.ts';
import { plain, tenant } from '../helpers/samples.ts';

const head = '20260814091530_backfill_meter_status';
const older = '20260801101500_add_tariffs';

function row(name: string, id: string, more: Partial<StatusRow> = {}): StatusRow {
  return {
    tenant: tenant(name, id),
    state: 'current',
    status: 'active',
    head,
    applied: 28,
    pending: 0,
    ...more,
  };
}

function report(more: Partial<StatusReport> = {}): StatusReport {
  return {
    selection: '--all',
    toolVersion: '0.1.0',
    startedAt: '2026-08-20T10:00:00.000Z',
    durationMs: 420,
    interrupted: false,
    cohorts: [],
    foldersBehind: 0,
    stamped: 0,
    notices: [],
    ...more,
    counts: { total: 0, current: 0, pending: 0, drifted: 0, unreachable: 0, inactive: 0, ...more.counts },
  };
}

const small = report({
  counts: { total: 5, current: 1, pending: 1, drifted: 1, unreachable: 1, inactive: 1 },
  foldersBehind: 1,
  tenants: [
    row('lumen-togo', '1'),
    row('abuja-1', '2', { state: 'pending', head: older, applied: 25, pending: 3 }),
    row('kivu-grid', '3', {
      state: 'drifted',
      drift: { changed: 1, missing: 2 },
      remedies: ['restore the file, or accept it: mpm-migrate repair --tenant {tenant} --checksums'],
    }),
    row('Énergie Sénégal', '4', {
      state: 'unreachable',
      head: null,
      error: {
        code: 'DATABASE_MISSING',
        message: 'there is no database "energie"',
        hint: 'mpm-migrate tenant show 4',
      },
    }),
    row('goma', '5', { state: 'inactive', status: 'hold', reason: 'unpaid' }),
  ],
});

test('a small fleet: a line per tenant, those that need a look, the totals, what to type', () => {
  expect(statusText(small, plain(100)))
    .toBe(`  TENANT           STATE        HEAD                                  APPLIED  PENDING
✔ lumen-togo       current      20260814091530_backfill_meter_status       28        0
› abuja-1          pending      20260801101500_add_tariffs                 25        3
✖ kivu-grid        drifted      20260814091530_backfill_meter_status       28        0
✖ Énergie Sénégal  unreachable  (none)                                      ?        ?
– goma             hold         20260814091530_backfill_meter_status       28        0

✖ kivu-grid  1 changed, 2 missing
    restore the file, or accept it: mpm-migrate repair --tenant 3 --checksums
✖ Énergie Sénégal  there is no database "energie"
    Look:  mpm-migrate tenant show 4
– goma  hold: unpaid

▲ 1 is behind core: its own folder lacks core migrations:  mpm-migrate sync

✔ 1 current   › 1 pending   ✖ 1 drifted   ✖ 1 unreachable   1 inactive   5 tenants in 0.4s
Migrate it:   mpm-migrate up --behind
`);
});

test('on 60 columns the head gives way', () => {
  const [, first = ''] = statusText(small, plain(60)).split('\n');
  expect(first).toBe('✔ lumen-togo       current      202608140…       28        0');
});

test('fleet 21: a large fleet as cohorts', () => {
  const names = ['abuja-1', 'abuja-2', 'kivu-grid', 'goma', 'lome'].map((name, at) =>
    tenant(name, String(at)),
  );
  const large = report({
    counts: { total: 996, current: 812, pending: 184, drifted: 0, unreachable: 0, inactive: 0 },
    cohorts: [
      { head, applied: 28, pending: 0, count: 812, tenants: names },
      { head: older, applied: 25, pending: 3, count: 180, tenants: names },
      { head: null, applied: 0, pending: 28, count: 4, tenants: names.slice(0, 4) },
    ],
  });
  expect(statusText(large, plain(80)))
    .toBe(`✔ 812 tenants at 20260814091530_backfill_meter_status   28 applied
› 180 tenants at 20260801101500_add_tariffs   3 behind
    abuja-1, abuja-2, kivu-grid, goma, lome and 175 more
›   4 tenants without migrations   28 behind
    abuja-1, abuja-2, kivu-grid and goma

✔ 812 current   › 184 pending   996 tenants in 0.4s
Migrate them:   mpm-migrate up --behind
`);
});

test('one tenant: its history', () => {
  const one = report({
    selection: '--tenant 2',
    counts: { total: 1, current: 0, pending: 1, drifted: 0, unreachable: 0, inactive: 0 },
    tenants: [row('abuja-1', '2', { state: 'pending', head: older, applied: 1, pending: 1 })],
    history: [
      {
        name: older,
        state: 'applied',
        checksum: 'v1:0',
        source: 'core',
        finishedAt: '2026-08-01T10:20:30.123Z',
        durationMs: 1234,
        run: '184',
        actor: 'deploy',
        toolVersion: '0.1.0',
      },
      {
        name: head,
        state: 'pending',
        checksum: 'v1:0',
        source: 'core',
        finishedAt: null,
        durationMs: null,
        run: null,
        actor: null,
        toolVersion: null,
      },
    ],
  });
  expect(statusText(one, plain(120))).toBe(`abuja-1  id 2, database abuja-1 on default
  MIGRATION                             STATE    APPLIED AT (UTC)     TOOK  RUN  BY
✔ 20260801101500_add_tariffs            applied  2026-08-01 10:20:30  1.2s  184  deploy
› 20260814091530_backfill_meter_status  pending

› 1 pending   1 tenant in 0.4s
Migrate it:   mpm-migrate up --tenant 2
`);
});

test('nobody', () => {
  expect(statusText(report(), plain(80))).toBe('✔ No tenant matches --all.\n');
});
