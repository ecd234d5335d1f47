import { execFileSync } from 'node:child_process';
import { symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { lintExitCode } from '../../src/cli/exit-code.ts';
import type { LockMode } from '../../src/engine/sql/effects/lock-mode.ts';
import { isAtLeast } from '../../src/engine/sql/effects/lock-mode.ts';
import { lint } from '../../src/fleet/verbs/lint.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { RULES } from '../../src/lint/registry.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';
import { lintSql, rulePage, SETUP } from '../helpers/lint-pages.ts';

const databases = withDatabases();

/** What is run in a transaction, which is rolled back. */
function inTransaction(sql: string): string {
  return sql
    .replace(/^(?:-- migrate:down\n[^]*|begin;|commit;|vacuum .*)$/gm, '')
    .replace(/^alter table orders ad column .*$/m, '')
    .replaceAll(' concurrently', '');
}

test('confidence 1: what each page says is locked, written anew, or fails is so on a server', async () => {
  const { url } = await databases.create();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const wrong: string[] = [];
  const say = (id: string, what: string) => void wrong.push(`${id}: ${what}`);
  try {
    await client.query(SETUP.join('\n'));
    await client.query(`insert into customers values (1, 'a@b', 'a', 'n'); insert into orders values (1, 1, 1, 'new', now());
      insert into feelings values (1, 'good')`);
    const tables = async () =>
      (
        await client.query<{ oid: number; name: string; file: string }>(
          "select oid::int, relname as name, relfilenode as file from pg_class where relname in ('customers', 'orders', 'feelings')",
        )
      ).rows;
    const before = await tables();
    for (const { id } of RULES) {
      const page = rulePage(id);
      const { findings } = await lintSql(page.found);
      const found = findings.find(({ rule }) => rule === id)!;
      await client.query('begin');
      const sql = page.found.map(inTransaction).join('\n');
      const failed = await client.query(sql).then(
        () => undefined,
        ({ code }: { code: string }) => code,
      );
      const expected = { 'required-column-without-default': '23502', 'enum-value-in-transaction': '55P04' }[
        id
      ];
      if (failed !== expected) say(id, `failed with ${failed}`);
      if (found.lock && !failed) {
        const { mode, table } = found.lock;
        const { rows } = await client.query<{ oid: number; mode: string }>(
          "select relation::int as oid, mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation'",
        );
        const { oid, file } = before.find(({ name }) => name === table)!;
        const taken = rows
          .filter((row) => row.oid === oid)
          .map(
            (row) =>
              row.mode
                .replace(/Lock$/, '')
                .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
                .toUpperCase() as LockMode,
          );
        if (!taken.some((each) => isAtLeast(each, mode))) say(id, `took ${taken.join(', ')}`);
        const after = (await tables()).find((each) => each.oid === oid);
        if (/rewrite|volatile/.test(id) && after?.file === file) say(id, 'is not written anew');
      }
      await client.query('rollback');
      await client.query('begin');
      await client
        .query(page.instead.map(inTransaction).join('\n'))
        // In one transaction, the value is used too early here as well.
        .catch(({ message }: Error) => id === 'enum-value-in-transaction' || say(id, `instead: ${message}`));
      await client.query('rollback');
    }
  } finally {
    await client.end();
  }
  expect(wrong).toEqual([]);
});

test('confidence 1: of 276 old files and a new one, only the new one is judged, also of a tenant alone', async () => {
  const old = Array.from({ length: 276 }, (_, at) => [
    `core/${at + 1}_old.sql`,
    at === 0 ? 'create table meters (id int primary key, note text);' : 'create index on meters (note);',
  ]);
  const fleet = await makeFleet(databases, { count: 2, files: Object.fromEntries(old.slice(0, 3)) });
  const { config, tenants } = fleet;
  const [first, second] = tenants;
  await up(config, { all: true });
  // The others cost no time, and are applied all the same.
  await fleet.write(Object.fromEntries(old.slice(3).map(([file]) => [file, 'select 1;'])));
  await up(config, { all: true });
  await fleet.write({
    'core/277_new.sql': 'alter table meters add constraint short check (length(note) < 9);',
  });
  const report = await lint(config);
  expect(report).toMatchObject({
    chosen: 'unapplied',
    notices: [],
    counts: { migrations: 277, linted: 1, errors: 1 },
  });
  expect(report.findings).toMatchObject([{ rule: 'constraint-not-valid', migration: '277_new', line: 1 }]);
  expect(lintExitCode(report)).toBe(4);

  // Once one tenant has it, it is old.
  await up(config, { tenants: ['1'] });
  expect(await lint(config)).toMatchObject({ counts: { linted: 0 }, findings: [] });
  await databases.query(`comment on database ${first?.database} is null`);
  expect(await lint(config)).toMatchObject({ counts: { linted: 0 } });

  // What a tenant has of its own, and a plugin's.
  const copies = old.slice(0, 3).map(([file, sql]) => [`tenants/${second?.database}/${file?.slice(5)}`, sql]);
  await fleet.write({
    ...Object.fromEntries(copies),
    [`tenants/${second?.database}/300_own.sql`]: 'alter table meters rename note to remark;',
    'plugins/solar/400_panels.sql': 'truncate meters;',
  });
  const own = await lint(config);
  expect(own.findings.map(({ rule, migration }) => `${migration} ${rule}`)).toEqual([
    '400_panels truncate',
    '300_own rename',
  ]);
  const named = await lint(config, {
    files: [join(config.migrations.tenants, second!.database, '300_own.sql')],
  });
  expect(named).toMatchObject({ chosen: 'named', counts: { linted: 1, errors: 1 } });
  expect(await lint(config, { files: ['2'] })).toMatchObject({ counts: { linted: 1, errors: 1 } });
  await expect(lint(config, { files: ['nowhere.sql'] })).rejects.toMatchObject({ code: 'USAGE' });

  const rules = { rename: 'warn', truncate: 'off' } as const;
  const tuned = await lint({ ...config, lint: { rules } });
  expect(tuned).toMatchObject({ counts: { errors: 0, warnings: 1 } });
  expect(lintExitCode(tuned)).toBe(0);
  await expect(lint({ ...config, lint: { rules: { renam: 'off' } } })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'lint.rules.renam: no rule has this name',
  });
});

test('confidence 1: without a central database, Git tells what is new; a shallow clone is an error', async () => {
  const fleet = await makeFleet(databases, {
    count: 0,
    files: {
      'core/1_old.sql': 'create table t (id int primary key, a int);',
      'core/2_old.sql': 'create index on t (a);',
    },
  });
  const absent = { ...fleet.config, central: { ...fleet.config.central, absent: true as const } };
  const { root } = absent;
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: root, stdio: 'pipe' });
  expect(await lint(absent)).toMatchObject({
    chosen: 'all',
    counts: { linted: 2 },
    notices: [expect.stringContaining('all')],
  });
  git('init', '-q', '-b', 'main');
  git('add', '.');
  git('commit', '-qm', 'old');
  expect(await lint(absent)).toMatchObject({
    chosen: 'changed',
    since: { name: 'main' },
    counts: { linted: 0 },
  });
  git('checkout', '-qb', 'branch');
  await fleet.write({ 'core/3_committed.sql': 'drop table t;' });
  git('add', '.');
  git('commit', '-qm', 'new');
  await fleet.write({ 'core/4_untracked.sql': 'truncate t;', 'central/1_own.sql': 'lock table companies;' });
  const { findings } = await lint(absent, { since: 'main' });
  expect(findings.map(({ migration }) => migration)).toEqual(['3_committed', '4_untracked', '1_own']);
  const link = `${root}-link`;
  symlinkSync(root, link);
  onTestFinished(() => unlinkSync(link));
  const linked = { ...absent, root: link, migrations: { ...absent.migrations, core: join(link, 'core') } };
  expect(await lint(linked, { since: 'main' })).toMatchObject({ counts: { linted: 3 } });
  // One that is configured, but can't be reached, is no reason to fail.
  const unreachable = { ...fleet.config, central: { url: 'postgres://localhost:1/nowhere' } };
  expect(await lint(unreachable)).toMatchObject({
    chosen: 'changed',
    counts: { linted: 3 },
    notices: [expect.stringContaining("can't be asked")],
  });
  await expect(lint(absent, { since: 'nothing' })).rejects.toMatchObject({ code: 'GIT' });
  const clone = join(root, 'clone');
  git('clone', '-q', '--depth', '1', `file://${root}`, clone);
  const core = join(clone, 'core');
  const shallow = {
    ...absent,
    root: clone,
    migrations: { ...absent.migrations, core, plugins: join(clone, 'p') },
  };
  await expect(lint(shallow, { since: 'origin/main' })).rejects.toMatchObject({
    code: 'GIT',
    hint: expect.stringContaining('fetch-depth: 0'),
  });
});

test('confidence 1: modules are judged by the SQL that they send to a database that is dropped', async () => {
  const fleet = await makeFleet(databases, {
    count: 1,
    files: {
      'core/1_meters.ts': `export async function up(db) {
        await db.schema.createTable('meters').addColumn('id', 'integer').addColumn('note', 'varchar(9)').execute();
      }`,
    },
  });
  const config = { ...fleet.config, lint: { server: 'default' } };
  await up(config, { all: true });
  await fleet.write({
    'core/2_wide.ts': `// mpm:allow rows-without-where ten rows
import { sql } from 'kysely';
export async function up(db) {
  await sql\`alter table meters alter column note type varchar(20)\`.execute(db);
  await db.schema.createIndex('by_note').on('meters').column('note').execute();
  await db.updateTable('meters').set({ note: 'x' }).execute();
}`,
    'core/3_later.ts':
      "export const config = { phase: 'contract' }; export async function up(db) { await db.deleteFrom('meters').execute(); }",
    'core/4_broken.ts': "export async function up() { throw new Error('no'); }",
    'core/5_after.ts': "export async function up(db) { await db.schema.dropTable('meters').execute(); }",
  });
  const report = await lint(config);
  expect(report.findings.map(({ rule, migration, line }) => `${migration}:${line} ${rule}`)).toEqual([
    '2_wide:1 index-not-concurrent',
    '2_wide:1 rows-beside-ddl',
    '3_later:1 rows-without-where',
  ]);
  expect(report.findings[0]?.excerpt.file).toBe('2_wide.ts, the SQL that it sends');
  expect(report.allowed).toMatchObject([{ rule: 'rows-without-where', reason: 'ten rows' }]);
  expect(report.notLinted).toMatchObject([
    { migration: '4_broken', reason: "it can't be run for a look: no" },
    { migration: '5_after', reason: "it can't be run for a look: 4_broken: no" },
  ]);
  const left = "select datname from pg_database where starts_with(datname, 'mpm_lint_')";
  expect(await databases.query(left)).toEqual([]);
});
