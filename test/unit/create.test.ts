import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Order } from '../../src/engine/source/name.ts';
import { readMigrations } from '../../src/engine/source/source.ts';
import { createMigration } from '../../src/fleet/verbs/create.ts';

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'mpm-create-'));
});
afterEach(() => rmSync(cwd, { recursive: true }));

function write(...files: string[]): void {
  writeAll(Object.fromEntries(files.map((file) => [file, ''])));
}

function writeAll(files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, file)), { recursive: true });
    writeFileSync(join(cwd, file), text);
  }
}

const now = new Date('2026-03-01T12:00:59Z');

function configHere(order: Order = 'version'): Promise<Config> {
  writeAll({ 'mpm-migrate.config.json': JSON.stringify({ migrations: { order } }) });
  return loadConfig({}, { cwd, env: { MPM_CENTRAL_URL: 'postgres://localhost/c' } });
}

async function created(options: { central?: boolean } = {}): Promise<string> {
  return basename((await createMigration(await configHere(), 'mine', { kind: 'sql', now, ...options })).path);
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
  write('migrations/tenants/a/99991231235959_own.sql', 'migrations/core/20250101000000_first.sql');
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

/** What `create add_x` writes beside these files, by path. */
async function beside(
  files: Record<string, string>,
  order: Order = 'version',
): Promise<Record<string, string>> {
  writeAll(
    Object.fromEntries(Object.entries(files).map(([file, text]) => [`migrations/core/${file}`, text])),
  );
  const config = await configHere(order);
  const { path, more = [], name } = await createMigration(config, 'add_x', { now });
  const { migrations } = await readMigrations(config.migrations.core, 'core', config.migrations);
  expect(migrations.at(-1)).toMatchObject({ name, untouched: true });
  const core = `${config.migrations.core}/`;
  return Object.fromEntries(
    [path, ...more].map((each) => [each.slice(core.length), readFileSync(each, 'utf8')]),
  );
}

const SQL = 'create table t ();';
const UP = '-- Write the SQL here.\n';
const DOWN = '-- Write the SQL that reverts it here.\n';

describe('histories 8: create follows the folder', () => {
  test.each<[after: string[], wanted: string[], order?: Order]>([
    [['0042_a.sql'], ['0043_add_x.sql']],
    [['9_a.sql'], ['10_add_x.sql']],
    [['V7__a.sql'], ['V8__add_x.sql']],
    [['V1_9__a.sql', 'U1_9__a.sql'], ['V1_10__add_x.sql']],
    [
      ['0099-a.up.sql', '0099-a.down.sql'],
      ['0100-add_x.up.sql', '0100-add_x.down.sql'],
    ],
    [['20230101000000_a/migration.sql', 'migration_lock.toml'], ['20260301120059_add_x/migration.sql']],
    [
      ['2019-02-26-002946_a/up.sql', '2019-02-26-002946_a/down.sql'],
      ['2026-03-01-120059_add_x/up.sql', '2026-03-01-120059_add_x/down.sql'],
    ],
    [
      ['2/01_a.up.sql', '2/01_a.down.sql', '1/07_b.up.sql'],
      ['2/02_add_x.up.sql', '2/02_add_x.down.sql'],
    ],
    [['2014_10_12_000000_a.sql'], ['2026_03_01_120059_add_x.sql']],
    [['2022_14_12_000000_a.sql'], ['2026_03_01_120059_add_x.sql']],
    [['20230608T155101190Z-a.ts'], ['20260301T120059000Z-add_x.ts']],
    [['20300101_a.sql'], ['20300102_add_x.sql']],
    [['20990101000000_a.ts'], ['20990101000001_add_x.ts']],
    [['1690000000000_a.sql'], ['1772366459000_add_x.sql']],
    [['1510262030_a.up.sql'], ['1772366459_add_x.up.sql']],
    [['0001_a.postgres.up.sql', '0001_a.mysql.up.sql'], ['0002_add_x.postgres.up.sql']],
    [['aa.sql', 'ab.sql'], ['add_x.sql']],
    [['9_a.ts'], ['10_add_x.ts']],
    [['1_a.sql', '2_b.go'], ['3_add_x.sql']],
    [['20230101000000_a.sql'], ['20260301120059_add_x.ts']],
    [[], ['20260301120059_add_x.ts']],
  ])('beside %j: %j', async (there, wanted) => {
    const files = Object.fromEntries(
      there.map((file) => [
        file,
        file.endsWith('.ts')
          ? 'export const up = async () => {};'
          : file.endsWith('.toml')
            ? 'provider = "postgresql"'
            : file.endsWith('.go')
              ? 'package migrations'
              : SQL,
      ]),
    );
    expect(Object.keys(await beside(files))).toEqual(wanted);
  });

  test.each([
    [
      'goose',
      `-- +goose Up\n${SQL}\n-- +goose Down\ndrop table t;`,
      `-- +goose Up\n${UP}\n-- +goose Down\n${DOWN}`,
    ],
    ['sql-migrate', `-- +migrate Up\n${SQL}\n`, `-- +migrate Up\n${UP}\n-- +migrate Down\n${DOWN}`],
    ['node-pg-migrate', `-- Up Migration\n${SQL}\n`, `-- Up Migration\n${UP}\n-- Down Migration\n${DOWN}`],
    [
      'tern',
      `${SQL}\n---- create above / drop below ----\n`,
      `${UP}\n---- create above / drop below ----\n\n${DOWN}`,
    ],
    [
      'Liquibase',
      `--liquibase formatted sql\n--changeset ann:1\n${SQL}\n`,
      `--liquibase formatted sql\n\n--changeset ann:2_add_x\n${UP}`,
    ],
    ['nobody', `${SQL}\n`, UP],
  ])('with the sections of %s', async (_, there, wanted) => {
    expect(await beside({ '1_a.sql': there })).toEqual({ '2_add_x.sql': wanted });
  });

  test('ours where the markers are ours, and where the last one has none by chance', async () => {
    const marked = '-- migrate:up\nselect 1;\n-- migrate:down\n';
    const [text] = Object.values(await beside({ '1_a.sql': marked, '2_b.sql': SQL }));
    expect(text).toContain('-- migrate:up\n');
    expect(text).toContain('-- migrate:down\n');
  });

  test("a Drizzle folder gets its journal's entry, and the snapshot that the next one is compared with", async () => {
    const journal = {
      version: '7',
      dialect: 'postgresql',
      entries: [{ idx: 0, version: '7', when: 2e12, tag: '0000_a', breakpoints: true }],
    };
    const files = await beside({
      '0000_a.sql': SQL,
      'meta/_journal.json': JSON.stringify(journal, null, 2),
      'meta/0000_snapshot.json': JSON.stringify({ id: 'first', prevId: 'none', tables: {} }),
    });
    expect(Object.keys(files)).toEqual(['0001_add_x.sql']);
    const meta = join(cwd, 'migrations/core/meta');
    expect(JSON.parse(readFileSync(join(meta, '_journal.json'), 'utf8'))).toEqual({
      ...journal,
      entries: [
        ...journal.entries,
        { idx: 1, version: '7', when: 2e12 + 1, tag: '0001_add_x', breakpoints: true },
      ],
    });
    const snapshot = JSON.parse(readFileSync(join(meta, '0001_snapshot.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    expect(snapshot).toMatchObject({ prevId: 'first', tables: {} });
    expect(snapshot['id']).not.toBe('first');
    expect(readdirSync(meta).toSorted()).toEqual([
      '0000_snapshot.json',
      '0001_snapshot.json',
      '_journal.json',
    ]);
  });

  test('a name that would not be the last one is refused, and nothing is written', async () => {
    await expect(beside({ 'zebra.sql': SQL })).rejects.toMatchObject({
      code: 'MIGRATION_NAME',
      message: 'add_x would not be the last migration: zebra is behind it',
    });
    await expect(beside({ '9_a.ts': 'export const up = async () => {};' }, 'text')).rejects.toMatchObject({
      code: 'MIGRATION_NAME',
      hint: expect.stringContaining("migrations.order is 'text'"),
    });
    expect(readdirSync(join(cwd, 'migrations/core')).toSorted()).toEqual(['9_a.ts', 'zebra.sql']);
  });

  test('several at once get a number each, and an entry each', async () => {
    writeAll({
      'migrations/core/0000_a.sql': SQL,
      'migrations/core/meta/_journal.json': JSON.stringify({
        dialect: 'postgresql',
        entries: [{ idx: 0, when: 1, tag: '0000_a', breakpoints: true }],
      }),
    });
    const config = await configHere();
    const names = await Promise.all(
      ['a1', 'b1', 'c1', 'd1'].map(async (slug) => (await createMigration(config, slug, { now })).name),
    );
    expect(names.map((name) => name.slice(0, 4)).toSorted()).toEqual(['0001', '0002', '0003', '0004']);
    const { migrations } = await readMigrations(config.migrations.core, 'core', config.migrations);
    expect(migrations).toHaveLength(5);
  });

  test('a folder that cannot be read gets no file', async () => {
    await expect(beside({ 'R__views.sql': SQL, '1_a.sql': SQL })).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
    });
    expect(readdirSync(join(cwd, 'migrations/core')).toSorted()).toEqual(['1_a.sql', 'R__views.sql']);
  });
});
