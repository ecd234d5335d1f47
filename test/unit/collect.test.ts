import { expect, test } from 'vitest';
import type { ErrorReport } from '../../src/errors.ts';
import { ReportBuilder } from '../../src/fleet/report/collect.ts';
import type { TenantResult } from '../../src/fleet/report/report.ts';

const head = {
  run: 1,
  verb: 'up',
  selection: '--all',
  toolVersion: '0',
  startedAt: '2026-01-01T00:00:00.000Z',
};
const end = { durationMs: 1, interrupted: false };

function result(id: number, more: Partial<TenantResult> = {}): TenantResult {
  const tenant = { id: String(id), name: `Company ${id}`, database: `company-${id}`, server: 'default' };
  const nothing = { from: null, to: null, applied: [], pending: [], durationMs: 1, attempts: 1, notices: [] };
  return { tenant, outcome: 'current', ...nothing, ...more };
}

function failed(id: number, message: string, more: Partial<ErrorReport> = {}): TenantResult {
  return result(id, {
    outcome: 'failed',
    error: { code: 'MIGRATION_FAILED', message, migration: '1_a', ...more },
  });
}

test('failures are equal but for the tenant’s own names and numbers', () => {
  const report = new ReportBuilder(head, { keepResults: false });
  for (let id = 1; id <= 12; id++)
    report.add(failed(id, `row ${id * 7} of "company-${id}" is in the way of Company ${id}`));
  report.add(failed(13, 'column "status" already exists'));
  report.add(failed(14, 'column "state" already exists'));
  report.add(failed(15, 'column "state" already exists', { migration: '2_b' }));
  const { failures, counts } = report.finish(end);
  expect(failures.map((group) => group.count)).toEqual([12, 1, 1, 1]);
  expect(failures[0]?.tenants.map((tenant) => tenant.id)).toEqual(
    Array.from({ length: 12 }, (_, i) => String(i + 1)),
  );
  expect(counts).toMatchObject({ total: 15, failed: 15 });
});

test('a tenant whose name is a letter does not make its failure another one', () => {
  const report = new ReportBuilder(head, { keepResults: false });
  for (const name of ['a', 'e', 'table', '$&']) {
    const same = failed(1, 'relation "meters" already exists');
    report.add({ ...same, tenant: { ...same.tenant, name, database: `db_${name}` } });
  }
  expect(report.finish(end).failures).toHaveLength(1);
});

test('fleet 2: a thousand different messages cost no thousand groups', () => {
  const report = new ReportBuilder(head, { keepResults: false });
  const word = (id: number): string => [...String(id)].map((digit) => 'abcdefghij'[Number(digit)]).join('');
  for (let id = 0; id < 1000; id++) report.add(failed(id, `key ${word(id)} is twice there`));
  const { failures } = report.finish(end);
  expect(failures.length).toBeLessThanOrEqual(101);
  expect(failures.reduce((sum, group) => sum + group.count, 0)).toBe(1000);
});

test('skipped reasons and notices are counted', () => {
  const report = new ReportBuilder(head, { keepResults: true });
  report.add(result(1, { outcome: 'skipped', reason: 'on hold' }));
  report.add(result(2, { outcome: 'skipped', reason: 'on hold' }));
  report.add(result(3, { notices: ['a newer release was here'] }));
  report.add(result(4, { notices: ['a newer release was here'] }));
  const { skipped, notices, tenants, failures } = report.finish(end);
  expect(skipped).toEqual([{ reason: 'on hold', count: 2 }]);
  expect(notices).toEqual(['a newer release was here (2 tenants)']);
  expect(tenants).toHaveLength(4);
  expect(failures).toEqual([]);
});
