import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { createMigration } from '../../src/fleet/verbs/create.ts';

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'mpm-create-'));
});
afterEach(() => rmSync(cwd, { recursive: true }));

function write(...files: string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(cwd, file)), { recursive: true });
    writeFileSync(join(cwd, file), '');
  }
}

async function created(options: { central?: boolean } = {}): Promise<string> {
  const config = await loadConfig({}, { cwd, env: { MPM_CENTRAL_URL: 'postgres://localhost/c' } });
  const now = new Date('2026-03-01T12:00:59Z');
  return basename((await createMigration(config, 'mine', { kind: 'sql', now, ...options })).path);
}

test("a core migration takes no number that a tenant's own or a plugin's has", async () => {
  write(
    'migrations/tenants/a/20260301120059_own.sql',
    'migrations/tenants/b/20260301120100_own.ts',
    'migrations/tenants/b/.mpm-migrate.json',
    'migrations/tenants/notes.txt',
    'migrations/plugins/sms/20260301120101_sms.sql',
  );
  expect(await created()).toBe('20260301120102_mine.sql');
});

test("a number of a tenant's far future moves nobody else's", async () => {
  write('migrations/tenants/a/99991231235959_own.sql', 'migrations/core/1_first.sql');
  expect(await created()).toBe('20260301120059_mine.sql');
});

test('a central migration meets no tenant', async () => {
  write('migrations/tenants/a/20260301120059_own.sql');
  expect(await created({ central: true })).toBe('20260301120059_mine.sql');
});

test('a core that is ahead of the clock looks at folders of any age', async () => {
  write('migrations/core/20980101000000_last.sql', 'migrations/tenants/a/20980101000001_own.sql');
  utimesSync(join(cwd, 'migrations/tenants/a'), 0, 0);
  expect(await created()).toBe('20980101000002_mine.sql');
});
