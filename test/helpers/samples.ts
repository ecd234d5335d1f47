import type { RunEvent } from '../../src/fleet/events.ts';
import type { RunReport, TenantRef, TenantResult } from '../../src/fleet/report/report.ts';
import { type Theme, themeFor } from '../../src/ui/theme.ts';

/** Samples that the tests of what users see share. */

/** Without colour, so many columns wide; 0: not a terminal. */
export function plain(columns: number, env: Record<string, string> = {}): Theme {
  return themeFor(columns ? { isTTY: true, columns } : {}, { NO_COLOR: '1', ...env });
}

export function tenant(name: string, id = name.replaceAll(/\D/g, '') || '1'): TenantRef {
  return { id, name, database: name, server: 'default' };
}

export const duplicateColumn: NonNullable<TenantResult['error']> = {
  code: 'MIGRATION_FAILED',
  message: 'column "status" of relation "meters" already exists',
  migration: '20260814091200_add_meter_status',
  aftermath: 'the migration was rolled back',
  hint: 'mpm-migrate verify --tenant {tenant}',
  database: { code: '42701', message: 'column "status" of relation "meters" already exists' },
  excerpt: {
    file: '/app/migrations/core/20260814091200_add_meter_status.sql',
    line: 4,
    column: 3,
    lines: [
      { number: 3, text: 'alter table meters', failing: false },
      { number: 4, text: "  add column status text not null default 'active';", failing: true },
    ],
  },
};

export const counts = {
  total: 0,
  migrated: 0,
  reverted: 0,
  current: 0,
  pending: 0,
  refused: 0,
  failed: 0,
  busy: 0,
  skipped: 0,
  executed: 0,
};

export function runReport(more: Partial<RunReport> = {}): RunReport {
  return {
    run: 184,
    verb: 'up',
    selection: '--all',
    toolVersion: '0.1.0',
    startedAt: '2026-08-20T10:00:00.000Z',
    durationMs: 17_300,
    interrupted: false,
    failures: [],
    skipped: [],
    notices: [],
    foldersBehind: 0,
    ...more,
    counts: { ...counts, ...more.counts },
  };
}

export function result(who: TenantRef, more: Partial<TenantResult> = {}): TenantResult {
  return {
    tenant: who,
    outcome: 'migrated',
    from: '1_a',
    to: '2_b',
    applied: [],
    pending: [],
    durationMs: 100,
    attempts: 1,
    notices: [],
    ...more,
  };
}

export function started(total: number): RunEvent {
  return { type: 'run-started', at: 0, run: 184, verb: 'up', total, selection: '--all' };
}

export function finished(who: TenantRef, error?: TenantResult['error']): RunEvent {
  const outcome = error ? 'failed' : 'migrated';
  return { type: 'tenant-finished', at: 0, result: result(who, { outcome, ...(error ? { error } : {}) }) };
}
