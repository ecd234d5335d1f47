import { expect, test } from 'vitest';
import { reportText } from '../../src/ui/report/text.ts';
import { duplicateColumn, plain, result, runReport, tenant } from '../helpers/samples.ts';

const shortPath = (path: string) => path.replace('/app/', '');
const show = (columns: number, more: Parameters<typeof runReport>[0]) =>
  reportText(runReport(more), plain(columns), { shortPath });
const counts = (more: object) => ({ ...runReport().counts, ...more });

const failed = {
  counts: counts({ total: 1000, migrated: 994, current: 4, failed: 2 }),
  failures: [
    { error: duplicateColumn, count: 1, tenants: [tenant('kivu-grid')], at: '20260801101500_add_tariffs' },
    {
      error: { code: 'CONNECTION' as const, message: 'cannot reach 10.0.0.7:5432: connection refused' },
      count: 1,
      tenants: [{ id: '7', name: 'Énergie Sénégal', database: 'energie', server: 'eu' }],
    },
  ],
};

test('a run with failures: why, where, what became of it, what to type; the last line matters most', () => {
  expect(show(80, failed)).toBe(`✖ kivu-grid    20260814091200_add_meter_status
    column "status" of relation "meters" already exists  (42701)
    migrations/core/20260814091200_add_meter_status.sql:4:3
      3 │ alter table meters
    ▸ 4 │   add column status text not null default 'active';
        │   ^
    Still at 20260801101500_add_tariffs: the migration was rolled back.
    Look:  mpm-migrate verify --tenant 1

✖ Énergie Sénégal
    cannot reach 10.0.0.7:5432: connection refused
    Look:  mpm-migrate status --tenant 7

✔ 994 migrated   4 current   ✖ 2 failed   1,000 tenants in 17.3s   run 184
Retry the two:  mpm-migrate up --failed=184
`);
});

test('the same on 60 columns: broken between words, commands left whole', () => {
  expect(show(60, failed)).toBe(`✖ kivu-grid    20260814091200_add_meter_status
    column "status" of relation "meters" already exists
    (42701)
    migrations/core/20260814091200_add_meter_status.sql:4:3
      3 │ alter table meters
    ▸ 4 │   add column status text not null default 'active…
        │   ^
    Still at 20260801101500_add_tariffs: the migration was
    rolled back.
    Look:  mpm-migrate verify --tenant 1

✖ Énergie Sénégal
    cannot reach 10.0.0.7:5432: connection refused
    Look:  mpm-migrate status --tenant 7

✔ 994 migrated   4 current   ✖ 2 failed
  1,000 tenants in 17.3s   run 184
Retry the two:  mpm-migrate up --failed=184
`);
});

test('in ASCII, no symbol is left', () => {
  const text = reportText(runReport(failed), plain(80, { LANG: 'C' }), { shortPath });
  expect(text.replaceAll('Énergie Sénégal', '')).toMatch(/^[\x20-\x7e\n]+$/);
  expect(text).toContain('x kivu-grid');
});

test('equal failures are one group: five names and how many more', () => {
  const tenants = Array.from({ length: 412 }, (_, index) => tenant(`grid-${index + 1}`));
  const { hint: _, excerpt: __, ...error } = duplicateColumn;
  const text = show(120, {
    counts: counts({ total: 412, failed: 412 }),
    failures: [{ error, count: 412, tenants, at: null }],
  });
  expect(text).toBe(`✖ 412 tenants failed the same way    20260814091200_add_meter_status
    grid-1, grid-2, grid-3, grid-4, grid-5 and 407 more
    column "status" of relation "meters" already exists  (42701)
    Still without migrations: the migration was rolled back.
    Look:  mpm-migrate status --tenant 1

✖ 412 failed   412 tenants in 17.3s   run 184
Retry the 412:  mpm-migrate up --failed=184
`);
});

test('refused tenants are told why, and not told to try again', () => {
  const text = show(120, {
    counts: counts({ total: 3, current: 1, refused: 2 }),
    failures: [
      {
        error: {
          code: 'PLAN_REFUSED',
          message: '1_a was changed after it was applied',
          aftermath: 'nothing was changed here',
          hint: 'restore the file, or accept it: mpm-migrate repair --tenant {tenant} --checksums',
        },
        count: 2,
        tenants: [tenant('a1'), tenant('a2')],
        at: '1_a',
      },
    ],
  });
  expect(text).toBe(`✖ 2 tenants were refused for the same reason
    a1 and a2
    1_a was changed after it was applied
    Still at 1_a: nothing was changed here.
    restore the file, or accept it: mpm-migrate repair --tenant 1 --checksums

✔ 1 current   ✖ 2 refused   3 tenants in 17.3s   run 184
`);
});

test('nothing to do, and nobody to do it for', () => {
  expect(show(80, { counts: counts({ total: 4, current: 4 }), durationMs: 321, run: 7 })).toBe(
    '✔ 4 current   4 tenants in 0.3s   run 7\n',
  );
  expect(show(80, { run: null })).toBe('✔ No tenant matches --all: nothing to do.\n');
  // Where the list of tenants could not be read, nobody knows.
  const error = { code: 'CONNECTION', message: 'lost' } as const;
  expect(show(80, { run: null, error })).not.toContain('No tenant matches');
});

test('named tenants: from where to where, and each migration', () => {
  const one = result(tenant('kivu-grid'), {
    from: null,
    to: '2_b',
    applied: [
      { name: '1_a', direction: 'up', durationMs: 120 },
      { name: '2_b', direction: 'up', durationMs: 80 },
    ],
    durationMs: 240,
  });
  expect(show(80, { counts: counts({ total: 1, migrated: 1 }), durationMs: 300, tenants: [one] })).toBe(
    `✔ kivu-grid  (none) → 2_b  2 in 0.2s
    + 1_a  0.1s
    + 2_b  0.1s

✔ 1 migrated   1 tenant in 0.3s   run 184
`,
  );
});

test('an interrupted run says how to go on; skipped, notices, folders behind, a lost ledger are told', () => {
  const text = show(120, {
    interrupted: true,
    counts: counts({ total: 20, migrated: 8, skipped: 12 }),
    skipped: [{ reason: 'not tried: the run was interrupted', count: 12 }],
    notices: ['run 183 is in progress, by deploy'],
    foldersBehind: 3,
    error: {
      code: 'CONNECTION',
      message: 'the ledger could not be written',
      hint: 'Check the central database.',
    },
  });
  expect(text).toBe(`– 12 skipped: not tried: the run was interrupted
▲ run 183 is in progress, by deploy
▲ 3 are behind core: their own folders lack core migrations:  mpm-migrate sync

✖ the ledger could not be written
    Check the central database.

✔ 8 migrated   ▲ 3 behind core   12 skipped   20 tenants in 17.3s   run 184
Interrupted: finished work is recorded. Continue:  mpm-migrate up --failed=184
`);
});

test("a tenant's name cannot write on the terminal by itself", () => {
  const evil = { ...tenant('evil'), name: 'evil\u001b[2J\nname' };
  const text = show(80, {
    counts: counts({ total: 1, failed: 1 }),
    failures: [{ error: duplicateColumn, count: 1, tenants: [evil] }],
  });
  expect(text).not.toContain('\u001b');
  expect(text).toContain('✖ evil name ');
});

test('several ways to go wrong are each counted once', () => {
  const text = show(120, { counts: counts({ total: 9, migrated: 1, failed: 2, refused: 3, busy: 3 }) });
  expect(text).toContain('✔ 1 migrated   ✖ 2 failed   3 refused   3 busy   9 tenants');
});
