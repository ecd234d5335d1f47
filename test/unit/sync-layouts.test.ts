import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Tenant } from '../../src/central/list/tenant.ts';
import type { Config } from '../../src/config/define.ts';
import { loadConfig } from '../../src/config/load.ts';
import { readMigrations } from '../../src/engine/source/source.ts';
import { syncFolders, type SyncOptions, type SyncReport } from '../../src/fleet/verbs/sync.ts';
import { tenantSet } from '../../src/tenants/folders/folder.ts';
import { readSeeds } from '../../src/tenants/create/seeds.ts';
import { readCoreFolder } from '../../src/tenants/folders/sync-folder.ts';

let root: string;
let config: Config;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'mpm-sync-'));
  config = await loadConfig({}, { cwd: root, env: { MPM_CENTRAL_URL: 'postgres://x' } });
});
afterEach(() => rmSync(root, { recursive: true }));

const TENANT: Tenant = {
  id: '1',
  name: 'Acme',
  database: 'acme',
  server: 'default',
  status: 'active',
  labels: {},
};

function write(folder: string, files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
}

const core = (files: Record<string, string>) => write(config.migrations.core, files);
const own = (file = '') => join(config.migrations.tenants, 'acme', file);

async function sync(options: SyncOptions = {}): Promise<SyncReport> {
  async function* stream() {
    yield TENANT;
  }
  const folder = await readCoreFolder(config.migrations.core, config.migrations);
  return syncFolders(stream(), folder, config, options);
}

/** What the tenant would be applied, and what core is; where they lie is not compared. */
async function both() {
  const set = await readMigrations(config.migrations.core, 'core', config.migrations);
  const tenant = await tenantSet(TENANT, set, config);
  const without = (all: readonly unknown[]) =>
    JSON.parse(
      JSON.stringify(all, (key, value: unknown) => (key === 'path' ? undefined : value)),
    ) as unknown[];
  return { core: without(set.migrations), tenant: without(tenant.migrations), lacks: tenant.lacksCore };
}

const files = () =>
  readdirSync(own(), { recursive: true, encoding: 'utf8' })
    .filter((file) => !file.startsWith('.'))
    .toSorted();

const LAYOUTS: Record<string, Record<string, string>> = {
  Prisma: {
    '20240101000000_a/migration.sql': 'create table a ();',
    '20240201000000_b/migration.sql': 'create table b ();',
    'migration_lock.toml': 'provider = "postgresql"',
  },
  diesel: {
    '2024-01-01-000000_a/up.sql': 'create table a ();',
    '2024-01-01-000000_a/down.sql': 'drop table a;',
    '2024-02-01-000000_b/up.sql': 'select 1;',
    '2024-02-01-000000_b/metadata.toml': 'run_in_transaction = false\n',
  },
  'numbered folders': {
    '1/01_a.up.sql': 'create table a ();',
    '1/01_a.down.sql': 'drop table a;',
    '2/01_b.up.sql': 'create table b ();',
  },
  Drizzle: {
    '0000_a.sql': 'create table a ();',
    '0001_b.sql': 'create table b ();--> statement-breakpoint\ncreate table c ();',
    'meta/_journal.json': JSON.stringify({
      dialect: 'postgresql',
      entries: ['0000_a', '0001_b'].map((tag, idx) => ({ idx, when: idx, tag, breakpoints: true })),
    }),
  },
  Flyway: { 'V1__a.sql': 'create table a ();', 'U1__a.sql': 'drop table a;', 'V1_2__b.sql': 'select 1;' },
  dialects: {
    '1_a.postgres.up.sql': 'create table a ();',
    '1_a.mysql.up.sql': 'create table m ();',
    '1_a.down.sql': 'drop table a;',
    '2_b.autocommit.up.sql': 'select 1;',
  },
  'Go among SQL': { '1_a.go': 'package a', '1_a.sql': 'select 1;', '2_b.go': 'package migrations' },
  'without numbers': { 'apple.sql': 'select 1;', 'pear.sql': 'select 2;' },
};

describe.each(Object.entries(LAYOUTS))('histories 8: sync in the layout of %s', (_, layout) => {
  test('a tenant with copies is applied what one without is; twice is once; what changed is brought', async () => {
    core(layout);
    const first = await sync();
    expect(first.copied).toBeGreaterThan(0);
    const found = await both();
    expect(found.tenant).toEqual(found.core);
    expect(found.lacks).toEqual([]);
    expect(await sync()).toMatchObject({ copied: 0, updated: 0 });
    expect(await sync({ check: true })).toMatchObject({ copied: 0, updated: 0 });

    const [changed = ''] = Object.keys(layout).filter(
      (file) => file.endsWith('.sql') && !file.includes('mysql'),
    );
    core({ [changed]: 'select 42;' });
    expect(await sync()).toMatchObject({ updated: 1 });
    const again = await both();
    expect(again.tenant).toEqual(again.core);
  });

  test('what core has no more is pruned, with its folder', async () => {
    core(layout);
    await sync();
    const gone = Object.keys(layout).filter((file) => /_b[./]|^2\/|pear/.test(file));
    for (const file of gone) rmSync(join(config.migrations.core, file));
    for (const folder of new Set(gone.map(dirname))) {
      if (folder !== '.') rmSync(join(config.migrations.core, folder), { recursive: true });
    }
    if (layout['meta/_journal.json']) {
      const entries = [{ idx: 0, when: 0, tag: '0000_a', breakpoints: true }];
      core({ 'meta/_journal.json': JSON.stringify({ dialect: 'postgresql', entries }) });
    }
    expect((await sync()).stale).toBeGreaterThan(0);
    await sync({ prune: true });
    expect(files().filter((file) => /_b|^2(?:\/|$)|pear/.test(file))).toEqual([]);
    const found = await both();
    expect(found.tenant).toEqual(found.core);
  });
});

test("histories 8: a tenant's own in a folder is its own, and one with a core migration's name stops the sync", async () => {
  core(LAYOUTS['Prisma'] ?? {});
  await sync();
  write(own(), { '20240301000000_own/migration.sql': 'create table mine ();' });
  const report = await sync({ prune: true });
  expect(report).toMatchObject({ pruned: 0, copied: 0 });
  const set = await readMigrations(config.migrations.core, 'core', config.migrations);
  const { migrations } = await tenantSet(TENANT, set, config);
  expect(migrations.map(({ name, source }) => `${source} ${name}`)).toEqual([
    'core 20240101000000_a',
    'core 20240201000000_b',
    'tenant 20240301000000_own',
  ]);
  // Core gets one of the same name, in another form and in the same.
  core({ '20240301000000_own.sql': 'create table theirs ();' });
  expect((await sync()).held).toMatchObject([
    {
      files: ['20240301000000_own/migration.sql'],
      error: { message: expect.stringContaining("core's 20240301000000_own.sql") },
    },
  ]);
  expect(existsSync(own('20240301000000_own.sql'))).toBe(false);
});

test("histories 8: each tenant's metadata.toml is its own, however equal the folders' names are", async () => {
  core(LAYOUTS['diesel'] ?? {});
  await sync();
  const cache = new Map();
  const set = await readMigrations(config.migrations.core, 'core', config.migrations, cache);
  const transactions = async (tenant: Tenant) =>
    (await tenantSet(tenant, set, config, cache)).migrations.map(
      ({ up }) => up.kind !== 'foreign' && up.options.transaction,
    );
  expect(await transactions(TENANT)).toEqual([true, false]);
  write(own(), { '2024-02-01-000000_b/metadata.toml': 'run_in_transaction = true\n' });
  expect(await transactions(TENANT)).toEqual([true, true]);
});

test('histories 8: seeds lie as migrations do; without a number they come first, and equal numbers are no clash', async () => {
  const seeds = (folder: Record<string, string>) => {
    rmSync(config.migrations.seeds, { recursive: true, force: true });
    write(config.migrations.seeds, folder);
    return readSeeds(config, new Map());
  };
  const found = await seeds({
    '1_b.sql': 'select 1;',
    '1_a/migration.sql': 'select 1;',
    '2/01_c.up.sql': 'select 1;',
    'zones.sql': 'select 1;',
    'data/zones.csv': 'a,b',
    'README.md': '',
  });
  expect(found.map(({ name }) => name)).toEqual(['zones', '1_a', '1_b', '2/01_c']);
  await expect(seeds({ '1_a/up.sql': 'select 1;', '1_a/down.sql': 'select 1;' })).rejects.toMatchObject({
    message: "1_a/down.sql: a seed can't be reverted",
  });
  await expect(seeds({ '1_a.sql': 'select 1;', '1_a/migration.sql': 'select 1;' })).rejects.toMatchObject({
    message: expect.stringContaining('have the same name'),
  });
  await expect(seeds({ 'rows.csv': 'a,b' })).rejects.toMatchObject({
    message: expect.stringContaining(', only rows.csv'),
  });
});

test('histories 4: two of one name are found among others of their time', async () => {
  core({ '20240101000000_a.sql': 'select 1;', '20240101000000_b.sql': 'select 1;' });
  core({ '20240101000000_b/migration.sql': 'select 2;' });
  await expect(readMigrations(config.migrations.core, 'core', config.migrations)).rejects.toMatchObject({
    message: expect.stringContaining('have the same name'),
  });
});
