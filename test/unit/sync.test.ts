import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Tenant } from '../../src/central/list/tenant.ts';
import type { Config } from '../../src/config/define.ts';
import { loadConfig } from '../../src/config/load.ts';
import { syncExitCode } from '../../src/cli/exit-code.ts';
import { syncFolders, type SyncOptions, type SyncReport } from '../../src/fleet/verbs/sync.ts';
import { planAfter } from '../../src/engine/known-plan.ts';
import { planUp } from '../../src/engine/plan.ts';
import { readMigrations } from '../../src/engine/source/source.ts';
import { tenantSet } from '../../src/tenants/folders/folder.ts';
import { folderFor, writeOwner } from '../../src/tenants/folders/own-folder.ts';
import { MANIFEST } from '../../src/tenants/folders/manifest.ts';
import { readCoreFolder } from '../../src/tenants/folders/sync-folder.ts';

let root: string;
let config: Config;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'mpm-sync-'));
  config = await loadConfig({}, { cwd: root, env: { MPM_CENTRAL_URL: 'postgres://x' } });
  mkdirSync(config.migrations.core, { recursive: true });
  core({
    '1_a.sql': 'select 1;\n',
    '2_b.up.sql': 'select 2;\n',
    '2_b.down.sql': 'select -2;\n',
    '3_c.ts': 'export const up = () => {};\n',
  });
});
afterEach(() => {
  execFileSync('chmod', ['-R', 'u+w', root]);
  rmSync(root, { recursive: true });
});

function core(files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) writeFileSync(join(config.migrations.core, file), text);
}

function tenant(id: string, database = `db${id}`): Tenant {
  return { id, name: `T${id}`, database, server: 'default', status: 'active', labels: {} };
}

const fleet = (...databases: string[]) =>
  databases.map((database, index) => tenant(String(index + 1), database));

async function sync(tenants: Tenant[], options: SyncOptions = {}): Promise<SyncReport> {
  async function* stream() {
    yield* tenants;
  }
  return syncFolders(
    stream(),
    await readCoreFolder(config.migrations.core, config.migrations),
    config,
    options,
  );
}

const path = (database: string, file = '') => join(config.migrations.tenants, database, file);
const read = (database: string, file: string) => readFileSync(path(database, file), 'utf8');

/** Everything in the tenants' folders: names, contents and times. */
function snapshot(): unknown {
  if (!existsSync(config.migrations.tenants)) return [];
  return readdirSync(config.migrations.tenants, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((file) => {
      const stat = statSync(path(file));
      return [file, stat.mtimeMs, stat.ino, stat.isFile() && readFileSync(path(file), 'utf8')];
    });
}

describe('sync', () => {
  test('copies core into every folder; a second run changes nothing', async () => {
    const tenants = fleet('acme', 'kivu');
    expect(await sync(tenants)).toMatchObject({
      tenants: 2,
      files: 4,
      copied: 8,
      updated: 0,
      unchanged: 0,
      held: [],
    });
    expect(readdirSync(path('kivu')).toSorted()).toEqual([
      MANIFEST,
      '1_a.sql',
      '2_b.down.sql',
      '2_b.up.sql',
      '3_c.ts',
    ]);
    const owner = (id: string) =>
      `"tenant": {"id":"${id}","server":"default","database":"${id === '1' ? 'acme' : 'kivu'}"}`;
    expect(read('acme', MANIFEST)).toContain(owner('1'));
    expect(read('acme', MANIFEST).replace(owner('1'), '')).toBe(
      read('kivu', MANIFEST).replace(owner('2'), ''),
    );
    const before = snapshot();
    expect(await sync(tenants)).toMatchObject({
      tenants: 2,
      copied: 0,
      updated: 0,
      unchanged: 8,
      changes: [],
      held: [],
    });
    expect(snapshot()).toEqual(before);
  });

  test('brings new and changed core files; a copy is no link', async () => {
    const tenants = fleet('acme');
    await sync(tenants);
    core({ '1_a.sql': 'select 11;\n', '4_d.sql': 'select 4;\n' });
    expect(read('acme', '1_a.sql')).toBe('select 1;\n');
    expect(await sync(tenants)).toMatchObject({
      copied: 1,
      updated: 1,
      unchanged: 3,
      changes: [{ tenant: { id: '1', database: 'acme' }, copied: 1, updated: 1, pruned: 0 }],
    });
    expect([read('acme', '1_a.sql'), read('acme', '4_d.sql')]).toEqual(['select 11;\n', 'select 4;\n']);
  });

  test('a copy that was removed by hand comes back', async () => {
    await sync(fleet('acme'));
    rmSync(path('acme', '1_a.sql'));
    expect(await sync(fleet('acme'))).toMatchObject({ copied: 1, unchanged: 3 });
  });

  test('a copy that was edited by hand is held, also by size and time alike; --overwrite replaces it', async () => {
    const tenants = fleet('acme', 'kivu');
    await sync(tenants);
    writeFileSync(path('acme', '1_a.sql'), 'select 9;\n');
    core({ '1_a.sql': 'select 11;\n' });
    const { held, updated } = await sync(tenants);
    expect(updated).toBe(1);
    expect(held).toMatchObject([
      {
        tenant: { database: 'acme' },
        files: ['1_a.sql'],
        error: { code: 'TENANT_FOLDER', hint: expect.stringContaining('--overwrite --tenant 1') },
      },
    ]);
    expect([read('acme', '1_a.sql'), read('kivu', '1_a.sql')]).toEqual(['select 9;\n', 'select 11;\n']);
    expect((await sync(tenants)).held).toHaveLength(1);
    expect(await sync(tenants, { overwrite: true })).toMatchObject({ updated: 1, held: [] });
    expect(read('acme', '1_a.sql')).toBe('select 11;\n');
  });

  test('prunes only untouched copies whose core file is gone, never a file of the tenant', async () => {
    const tenants = fleet('acme', 'kivu');
    await sync(tenants);
    writeFileSync(path('acme', '9_own.sql'), 'select 9;');
    writeFileSync(path('acme', '1_a.sql'), 'select 1; -- mine\n');
    rmSync(join(config.migrations.core, '1_a.sql'));
    rmSync(join(config.migrations.core, '3_c.ts'));
    expect(await sync(tenants)).toMatchObject({ stale: 3, pruned: 0, held: [] });
    expect(await sync(tenants, { prune: true })).toMatchObject({ stale: 0, pruned: 3, held: [] });
    expect(readdirSync(path('acme')).toSorted()).toEqual([
      MANIFEST,
      '1_a.sql',
      '2_b.down.sql',
      '2_b.up.sql',
      '9_own.sql',
    ]);
    expect(readdirSync(path('kivu')).toSorted()).toEqual([MANIFEST, '2_b.down.sql', '2_b.up.sql']);
  });

  test("a tenant's own file in the place of a core file: an error for that tenant, the others go on", async () => {
    for (const [database, file] of [
      ['acme', '4_d.sql'],
      ['bida', '4_other.sql'],
      ['kano', '0004_d.ts'],
    ] as const) {
      mkdirSync(path(database), { recursive: true });
      writeFileSync(path(database, file), 'select 5;');
    }
    core({ '4_d.sql': 'select 4;\n' });
    const report = await sync(fleet('acme', 'bida', 'kano', 'kivu'), {
      overwrite: true,
      prune: true,
      claim: true,
    });
    expect(report).toMatchObject({ tenants: 4, copied: 5 });
    expect(report.held.map(({ tenant, files, error }) => [tenant.database, files, error.message])).toEqual([
      ['acme', ['4_d.sql'], "4_d.sql is this tenant's own file, and core has another of that name"],
      ['bida', ['4_other.sql'], "4_other.sql has the number of core's 4_d.sql"],
      ['kano', ['0004_d.ts'], "0004_d.ts has the number of core's 4_d.sql"],
    ]);
    expect(readdirSync(path('acme'))).toEqual([MANIFEST, '4_d.sql']);
    expect(read('acme', '4_d.sql')).toBe('select 5;');
  });

  test('a renamed core file is held until the old copy is pruned', async () => {
    await sync(fleet('acme'));
    rmSync(join(config.migrations.core, '1_a.sql'));
    core({ '1_better.sql': 'select 1;\n' });
    expect((await sync(fleet('acme'))).held).toMatchObject([
      { error: { hint: expect.stringContaining('sync --prune') } },
    ]);
    expect(await sync(fleet('acme'), { prune: true })).toMatchObject({ copied: 1, pruned: 1, held: [] });
  });

  test('equal files that something else put there are taken for copies', async () => {
    mkdirSync(path('acme'), { recursive: true });
    execFileSync('cp', ['-r', `${config.migrations.core}/.`, path('acme')]);
    expect(await sync(fleet('acme'), { claim: true })).toMatchObject({ copied: 0, unchanged: 4, held: [] });
    core({ '1_a.sql': 'select 11;\n' });
    expect(await sync(fleet('acme'))).toMatchObject({ updated: 1, held: [] });
  });

  test('a fresh checkout (other times) and other line ends change nothing in the folder but times', async () => {
    await sync(fleet('acme'));
    const manifest = read('acme', MANIFEST);
    for (const file of readdirSync(path('acme'))) utimesSync(path('acme', file), new Date(), new Date());
    writeFileSync(path('acme', '1_a.sql'), 'select 1;\r\n');
    expect(await sync(fleet('acme'))).toMatchObject({ copied: 0, updated: 0, unchanged: 4, held: [] });
    expect([read('acme', MANIFEST), read('acme', '1_a.sql')]).toEqual([manifest, 'select 1;\r\n']);
  });

  test('--check and --dry-run change nothing, and say what would be done', async () => {
    await sync(fleet('acme'));
    core({ '4_d.sql': 'select 4;\n' });
    const before = snapshot();
    const report = await sync(fleet('acme', 'kivu'), { dryRun: true });
    expect(report).toMatchObject({ dry: true, copied: 6, unchanged: 4, following: 0 });
    expect(report.changes.map(({ tenant, copied }) => [tenant.database, copied])).toEqual([
      ['acme', 1],
      ['kivu', 5],
    ]);
    // Who has no folder is not asked for one (fleet 32).
    const check = await sync(fleet('acme', 'kivu'), { check: true });
    expect(check).toMatchObject({ dry: true, copied: 1, unchanged: 4, tenants: 2, following: 1 });
    expect(snapshot()).toEqual(before);
  });

  test('fleet 39: a name that can be no folder, or would leave it, is percent-encoded', async () => {
    const names = {
      '../x': '%2E.%2Fx',
      '/etc': '%2Fetc',
      'a/b': 'a%2Fb',
      [String.raw`..\x`]: '%2E.%5Cx',
      '.': '%2E',
      '..': '%2E%2E',
      '.git': '%2Egit',
      con: '%63on',
      'NUL.sql': '%4EUL.sql',
      'x.': 'x%2E',
      'x ': 'x%20',
      'c:x': 'c%3Ax',
      constellation: 'constellation',
      'we "ird" Ünï.🚀': 'we "ird" Ünï.🚀',
      '%2Egit': '%2Egit@default',
    };
    expect(await sync(fleet(...Object.keys(names)))).toMatchObject({ held: [] });
    expect(readdirSync(root)).toEqual(['migrations']);
    expect(readdirSync(config.migrations.tenants).toSorted()).toEqual(Object.values(names).toSorted());
    for (const [index, name] of Object.keys(names).entries()) {
      const found = folderFor(tenant(String(index + 1), name), config);
      expect(basename(found)).toBe(names[name as keyof typeof names]);
    }
    const { held } = await sync(fleet(''));
    expect(held).toMatchObject([{ error: { code: 'TENANT_FOLDER' } }]);
  });

  test('what a killed run left is cleaned up, and nothing is there by halves', async () => {
    await sync(fleet('acme'));
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    const alive = `.mpm-migrate-${process.ppid}-7.tmp`;
    for (const file of [`.mpm-migrate-${gone}-1.tmp`, alive, 'notes.tmp'])
      writeFileSync(path('acme', file), 'half');
    await sync(fleet('acme'), { check: true });
    expect(readdirSync(path('acme'))).toContain(`.mpm-migrate-${gone}-1.tmp`);
    await sync(fleet('acme'));
    expect(
      readdirSync(path('acme'))
        .filter((file) => file.endsWith('.tmp'))
        .toSorted(),
    ).toEqual([alive, 'notes.tmp']);
  });

  test('a broken manifest holds that tenant and names the remedy', async () => {
    await sync(fleet('acme', 'kivu'));
    writeFileSync(path('acme', MANIFEST), `<<<<<<< HEAD\n${read('acme', MANIFEST)}`);
    core({ '4_d.sql': 'select 4;\n' });
    const { held, copied } = await sync(fleet('acme', 'kivu'));
    expect(copied).toBe(1);
    expect(held).toMatchObject([
      {
        error: {
          message: expect.stringContaining('a merge conflict'),
          hint: expect.stringContaining('version control'),
        },
      },
    ]);
  });

  test.skipIf(process.getuid?.() === 0)(
    'a folder that cannot be written is held, the others go on',
    async () => {
      await sync(fleet('acme', 'kivu'));
      core({ '4_d.sql': 'select 4;\n' });
      chmodSync(path('acme'), 0o555);
      expect(await sync(fleet('acme', 'kivu'))).toMatchObject({
        copied: 1,
        held: [{ error: { code: 'TENANT_FOLDER' } }],
      });
    },
  );

  test('histories 1: migrations in folders are copied, read, and removed with their folders', async () => {
    for (const folder of ['4_d', '5']) mkdirSync(join(config.migrations.core, folder));
    core({ '4_d/migration.sql': 'select 4;\n', '5/1_e.sql': 'select 5;\n' });
    expect(await sync(fleet('acme'))).toMatchObject({ copied: 6, held: [] });
    const whole = await readMigrations(config.migrations.core, 'core');
    const names = async () => {
      const set = await tenantSet(tenant('1', 'acme'), whole, config, new Map());
      return set.migrations.map(({ name, source, withdrawn }) => [name, source, withdrawn ?? false]);
    };
    expect((await names()).slice(3)).toEqual([
      ['4_d', 'core', false],
      ['5/1_e', 'core', false],
    ]);
    rmSync(join(config.migrations.core, '4_d'), { recursive: true });
    expect(await sync(fleet('acme'), { prune: true })).toMatchObject({ pruned: 1, held: [] });
    expect(existsSync(path('acme', '4_d'))).toBe(false);
    expect((await names()).at(-1)).toEqual(['5/1_e', 'core', false]);
  });

  test('a file in the place of a folder is left alone, the others go on', async () => {
    await sync(fleet('acme', 'kivu'));
    core({ '4_d.sql': 'select 4;\n' });
    rmSync(path('acme'), { recursive: true });
    writeFileSync(path('acme'), 'mine');
    expect(await sync(fleet('acme', 'kivu'))).toMatchObject({
      copied: 1,
      held: [{ error: { code: 'TENANT_FOLDER' } }],
    });
    expect(readFileSync(path('acme'), 'utf8')).toBe('mine');
  });

  test('fleet 39: a link to nowhere in the place of a copy is made a copy again', async () => {
    await sync(fleet('acme'));
    rmSync(path('acme', '1_a.sql'));
    symlinkSync('/nowhere/1_a.sql', path('acme', '1_a.sql'));
    expect(await sync(fleet('acme'))).toMatchObject({ held: [], copied: 1 });
    expect(lstatSync(path('acme', '1_a.sql')).isFile()).toBe(true);
  });

  test('an interrupt begins no further folder', async () => {
    const controller = new AbortController();
    const report = await sync(fleet('acme', 'kivu', 'kano'), {
      signal: controller.signal,
      onEvent: (event) =>
        event.type === 'tenant-finished' && event.result.tenant.id === '2' && controller.abort(),
    });
    expect(report).toMatchObject({ tenants: 2, interrupted: true });
  });

  test('a core folder with problems is refused as a whole', async () => {
    core({ '1_z.sql': '' });
    await expect(sync(fleet('acme'))).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
      message: expect.stringContaining('1_a.sql and 1_z.sql'),
    });
    expect(existsSync(config.migrations.tenants)).toBe(false);
  });
});

describe("fleet 39: a folder is one tenant's", () => {
  const at = (database: string, server: string, id: string): Tenant => ({ ...tenant(id, database), server });

  test('equal database names on two servers have two folders', async () => {
    const tenants = [at('acme', 'east', '1'), at('acme', 'west', '2')];
    expect(await sync(tenants)).toMatchObject({ copied: 8, held: [] });
    expect(readdirSync(config.migrations.tenants)).toEqual(['acme', 'acme@west']);
    writeFileSync(path('acme', '5_own.sql'), 'select 5;');
    const set = await readMigrations(config.migrations.core, 'core');
    expect((await tenantSet(at('acme', 'west', '2'), set, config)).migrations).toHaveLength(3);
    expect((await tenantSet(at('acme', 'east', '1'), set, config)).migrations).toHaveLength(4);
    expect(await sync(tenants)).toMatchObject({ copied: 0, held: [] });
  });

  test("one that is nobody's, or another's of the same server, stops its tenant until it is claimed", async () => {
    mkdirSync(path('acme'), { recursive: true });
    writeFileSync(path('acme', '5_own.sql'), 'select 5;');
    const set = await readMigrations(config.migrations.core, 'core');
    await expect(tenantSet(tenant('1', 'acme'), set, config)).rejects.toMatchObject({
      code: 'TENANT_FOLDER',
      message: `the folder ${path('acme')} has no owner`,
      hint: expect.stringContaining('mpm-migrate sync --claim --tenant 1') as string,
    });
    expect((await sync(fleet('acme'))).held).toHaveLength(1);
    expect((await sync(fleet('acme'), { claim: true, check: true })).held).toHaveLength(1);
    expect(await sync(fleet('acme'), { claim: true })).toMatchObject({ copied: 4, held: [] });

    const [held] = (await sync([tenant('7', 'acme')], { claim: true })).held;
    expect(held?.error.message).toBe(`the folder ${path('acme')} is of tenant 1, not of T7 (7)`);
    const byName = { whole: false, byName: true };
    async function* seventh() {
      yield tenant('7', 'acme');
    }
    const core = await readCoreFolder(config.migrations.core, config.migrations);
    expect((await syncFolders(seventh(), core, config, { claim: true }, byName)).held).toEqual([]);
    expect((await tenantSet(tenant('7', 'acme'), set, config)).ownFolder).toBe(true);
    await expect(tenantSet(tenant('1', 'acme'), set, config)).rejects.toThrow('is of tenant 7');
  });

  test('an empty one, as a kill at the beginning leaves it, stops nobody', async () => {
    mkdirSync(path('acme'), { recursive: true });
    const set = await readMigrations(config.migrations.core, 'core');
    expect((await tenantSet(tenant('1', 'acme'), set, config)).ownFolder).toBe(false);
    expect(await sync(fleet('acme'))).toMatchObject({ copied: 4, held: [] });
  });

  test('one that has not come along with a move stops its tenant; claimed, it has the new name', async () => {
    await sync(fleet('acme'));
    writeFileSync(path('acme', '5_own.sql'), 'select 5;');
    const moved = tenant('1', 'elsewhere');
    const set = await readMigrations(config.migrations.core, 'core');
    await expect(tenantSet(moved, set, config)).rejects.toMatchObject({
      code: 'TENANT_FOLDER',
      message: expect.stringContaining('at another place: database "acme" on server "default"') as string,
      hint: 'To claim it: mpm-migrate sync --claim --tenant 1',
    });
    expect((await sync([moved])).held).toHaveLength(1);
    expect(await sync([moved], { claim: true })).toMatchObject({ unchanged: 4, held: [] });
    expect(readdirSync(config.migrations.tenants)).toEqual(['elsewhere']);
    expect((await tenantSet(moved, set, config)).migrations).toHaveLength(4);
  });

  test('what nobody has is named once all tenants were looked at', async () => {
    await sync(fleet('acme', 'kivu'));
    mkdirSync(path('stray'));
    const core = await readCoreFolder(config.migrations.core, config.migrations);
    const all = async function* () {
      yield tenant('1', 'acme');
    };
    const report = await syncFolders(all(), core, config, { check: true }, { whole: true, byName: false });
    expect(report.orphans).toEqual([path('kivu'), path('stray')]);
    expect((await syncFolders(all(), core, config)).orphans).toBeUndefined();
  });

  test("fleet 55: a copying that was cut off leaves nothing that is taken for the tenant's own", async () => {
    await sync(fleet('acme'));
    const before = read('acme', MANIFEST);
    core({ '1_a.sql': 'select 11;\n', '4_d.sql': 'select 4;\n', '5_e.sql': 'select 5;\n' });
    await sync(fleet('acme'));
    rmSync(path('acme', '5_e.sql'));
    // As it is when the last manifest was not written: with what was to come, or as an older version left it.
    const copies = JSON.parse(read('acme', MANIFEST)) as { copies: Record<string, { checksum: string }> };
    const old = JSON.parse(before) as typeof copies;
    const coming = { ...old, copies: { ...copies.copies, '1_a.sql': old.copies['1_a.sql'] } };
    for (const manifest of [JSON.stringify(coming), before]) {
      writeFileSync(path('acme', MANIFEST), manifest);
      const set = await readMigrations(config.migrations.core, 'core');
      const { migrations } = await tenantSet(tenant('1', 'acme'), set, config);
      expect(migrations.map(({ name, source }) => `${name} ${source}`)).toEqual([
        '1_a core',
        '2_b core',
        '3_c core',
        '4_d core',
      ]);
      expect((await sync(fleet('acme'), { dryRun: true })).held).toEqual([]);
    }
    expect(await sync(fleet('acme'))).toMatchObject({ copied: 1, held: [] });
  });
});

test('fleet 40: a copy whose core file was withdrawn is not pending, unless it is applied already', async () => {
  core({ '4_d.sql': 'select 4;\n' });
  await sync(fleet('acme'));
  rmSync(join(config.migrations.core, '4_d.sql'));
  const set = await readMigrations(config.migrations.core, 'core');
  const { migrations } = await tenantSet(tenant('1', 'acme'), set, config);
  const plan = planUp(migrations, []);
  expect(plan.pending.map(({ name }) => name)).toEqual(['1_a', '2_b', '3_c']);
  expect(plan.notices).toEqual([
    '4_d: a copy of a file that is no longer in core, and skipped. mpm-migrate sync --prune removes it',
  ]);
  expect(planAfter(migrations, 3)).toMatchObject({ pending: [], notices: plan.notices });
  expect(planAfter(migrations, 4)).toMatchObject({ pending: [], notices: [], head: '4_d' });
  const report = await sync(fleet('acme'), { check: true });
  expect(report).toMatchObject({ stale: 1, changes: [], held: [] });
  expect([syncExitCode(report, { check: true }), syncExitCode(report, { check: false })]).toEqual([4, 0]);
});

test('fleet 40: what a copied module imports from core goes along; what lies outside is said', async () => {
  mkdirSync(join(config.migrations.core, 'lib/deep'), { recursive: true });
  writeFileSync(join(root, 'migrations/shared.ts'), 'export const shared = 1;\n');
  core({
    '4_h.ts': `import { h } from './lib/h.ts';\nimport { shared } from '../shared.ts';\nexport const up = () => h + shared;\n`,
    'lib/h.ts': `export { h } from './deep/i.js';\nimport data from '../data.json';\nexport { data };\n`,
    'lib/deep/i.ts': `import '../h.ts';\nexport const h = 1;\n`,
    'data.json': '{}',
    'lib/unused.ts': 'export {};',
  });
  const report = await sync(fleet('acme'));
  expect(report).toMatchObject({
    copied: 8,
    held: [],
    lacking: [{ file: '4_h.ts', import: '../shared.ts' }],
  });
  const copies = readdirSync(path('acme'), { recursive: true, encoding: 'utf8' }).toSorted();
  expect(copies).toContain('lib/deep/i.ts');
  expect(copies).toContain('data.json');
  expect(copies).not.toContain('lib/unused.ts');
  expect(await sync(fleet('acme'))).toMatchObject({ copied: 0, unchanged: 8 });

  core({ 'lib/deep/i.ts': 'export const h = 2;\n', '4_h.ts': 'export const up = () => {};\n' });
  expect(await sync(fleet('acme'))).toMatchObject({ copied: 0, updated: 1, stale: 3 });
  expect(await sync(fleet('acme'), { prune: true })).toMatchObject({ pruned: 3, held: [] });
  expect(existsSync(path('acme', 'lib/h.ts'))).toBe(false);
});

describe('what up applies to a tenant', () => {
  async function setOf(database: string, id = '1') {
    const cache = new Map();
    const set = await readMigrations(config.migrations.core, 'core', config.migrations, cache);
    return { set, ...(await tenantSet(tenant(id, database), set, config, cache)) };
  }

  test('without a folder, or with a name that can have none: core', async () => {
    for (const database of ['acme', '../x']) {
      const { set, migrations, ownFolder, lacksCore } = await setOf(database);
      expect(migrations).toBe(set.migrations);
      expect([ownFolder, lacksCore]).toEqual([false, []]);
    }
  });

  test('with a folder: exactly its content, and what core has beyond it', async () => {
    writeOwner(path('kivu'), tenant('1', 'kivu'));
    expect(await setOf('kivu')).toMatchObject({
      migrations: [],
      ownFolder: true,
      lacksCore: ['1_a', '2_b', '3_c'],
    });
    writeFileSync(path('kivu', '2_own.sql'), 'select 2;');
    const { migrations, lacksCore } = await setOf('kivu');
    expect(migrations).toMatchObject([{ name: '2_own', source: 'tenant', path: path('kivu', '2_own.sql') }]);
    expect(lacksCore).toEqual(['1_a', '2_b', '3_c']);
  });

  test('folders in step with core share its list, so that nothing is read or computed twice', async () => {
    await sync(fleet('acme', 'kivu'));
    for (const [id, database] of [
      ['1', 'acme'],
      ['2', 'kivu'],
    ] as const) {
      const { set, migrations, folder, lacksCore, ownFolder } = await setOf(database, id);
      expect(migrations).toBe(set.migrations);
      expect([folder, lacksCore, ownFolder]).toEqual([path(database), [], true]);
    }
  });

  test('after a fresh checkout the same, by content', async () => {
    await sync(fleet('acme'));
    for (const file of readdirSync(path('acme'))) utimesSync(path('acme', file), new Date(), new Date());
    const { set, migrations } = await setOf('acme');
    expect(migrations).toBe(set.migrations);
  });

  test("copies, an edited copy, and the tenant's own: each with its source", async () => {
    await sync(fleet('acme'));
    writeFileSync(path('acme', '1_a.sql'), 'select 7;\n');
    writeFileSync(path('acme', '9_own.sql'), 'select 9;\n');
    const { migrations, lacksCore } = await setOf('acme');
    expect(migrations.map(({ name, source }) => [name, source])).toEqual([
      ['1_a', 'tenant'],
      ['2_b', 'core'],
      ['3_c', 'core'],
      ['9_own', 'tenant'],
    ]);
    expect(migrations[0]?.up).toMatchObject({ sql: 'select 7;\n' });
    expect(lacksCore).toEqual([]);
    core({ '4_d.sql': 'select 4;\n' });
    expect((await setOf('acme')).lacksCore).toEqual(['4_d']);
  });

  test('a copy of an older core file is still a copy', async () => {
    await sync(fleet('acme'));
    core({ '1_a.sql': 'select 11;\n' });
    const { migrations } = await setOf('acme');
    expect(migrations[0]).toMatchObject({
      source: 'core',
      path: path('acme', '1_a.sql'),
      up: { sql: 'select 1;\n' },
    });
  });

  test('problems of its files name them', async () => {
    await sync(fleet('acme'));
    writeFileSync(path('acme', '1_b.sql'), 'select 7;\n');
    await expect(setOf('acme')).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
      message: '1_a.sql and 1_b.sql have the same version, 1',
    });
  });
});
