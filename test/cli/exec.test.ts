import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { exec } from '../../src/fleet/verbs/exec.ts';
import { cli, startCli } from '../helpers/cli.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

const files = {
  'core/1_meters.sql':
    "create table meters (id int primary key, note text); insert into meters values (1, 'a'), (2, null);",
};

async function ready(
  count = 3,
): Promise<{ fleet: TestFleet; mpm: (...args: string[]) => ReturnType<typeof cli> }> {
  const fleet = await makeFleet(databases, { count, files });
  const content = { central: fleet.config.central, migrations: { core: 'core', tenants: 'tenants' } };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  const mpm = (...args: string[]) => cli(args, { cwd: fleet.config.root });
  await mpm('up', '--all');
  return { fleet, mpm };
}

function steady(text: string): string {
  return text.replaceAll(/\d+\.\d+s/g, '0.0s').replaceAll(/\bt[0-9a-f]{8}_\d+_/g, '');
}

test('fleet 24: rows as a table on stdout, the tenant first; the rest on stderr; no run of the ledger', async () => {
  const { fleet, mpm } = await ready();
  const { code, stdout, stderr } = await mpm(
    'exec',
    '--all',
    '--concurrency',
    '1',
    '--sql',
    'select id, note from meters order by id',
  );
  expect(code).toBe(0);
  expect(steady(stdout)).toMatchInlineSnapshot(`
    "TENANT     id  note
    company-1   1  a
    company-1   2  null
    company-2   1  a
    company-2   2  null
    company-3   1  a
    company-3   2  null
    "
  `);
  expect(stderr).toContain('✔ 3 executed   3 tenants in');
  expect(await fleet.central('select number from mpm_migrate.runs')).toHaveLength(1);
});

test('fleet 24: CSV and NDJSON; several statements; --file', async () => {
  const { fleet, mpm } = await ready(2);
  await fleet.write({ 'q.sql': `select 1 as a, 'x, "y"' as b, '' as c, null as d, 2 as a;` });
  const csv = await mpm('exec', '--all', '--concurrency', '1', '--file', 'q.sql', '--format', 'csv');
  expect(csv.stdout).toMatchInlineSnapshot(`
    "tenant_id,tenant,a,b,c,d,a
    1,company-1,1,"x, ""y""","",,2
    2,company-2,1,"x, ""y""","",,2
    "
  `);
  const ndjson = await mpm(
    'exec',
    '--tenant',
    '2',
    '--format',
    'ndjson',
    '--sql',
    `select count(*), true as b, '{"k": [1]}'::jsonb as j, 1.50 as n, 9007199254740993 as big from meters; select 1 as a, 2 as a`,
  );
  const lines = ndjson.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  const tenant = { id: '2', name: 'company-2', database: fleet.tenants[1]?.database, server: 'default' };
  expect(lines).toEqual([
    { tenant, statement: 1, row: { count: 2, b: true, j: { k: [1] }, n: '1.50', big: '9007199254740993' } },
    { tenant, statement: 2, row: { a: 1, a_2: 2 } },
  ]);
});

test('fleet 24: --json is the report, with the rows in it', async () => {
  const { mpm } = await ready(1);
  const { stdout, code } = await mpm('exec', '--all', '--json', '--sql', 'select 7 as n');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    run: null,
    verb: 'exec',
    counts: { total: 1, executed: 1 },
    rows: [{ tenant: { id: '1' }, tables: [{ command: 'SELECT', rows: [['7']] }] }],
  });
});

test('fleet 24: a failing tenant is grouped as in a run, the others have their rows; exit code 3', async () => {
  const { fleet, mpm } = await ready();
  await fleet.of(fleet.tenants[1], 'alter table meters drop note');
  const { code, stdout, stderr } = await mpm(
    'exec',
    '--all',
    '--concurrency',
    '1',
    '--sql',
    'select id\n  , note from meters where id = 1',
  );
  expect(code).toBe(3);
  expect(steady(stdout)).toMatchInlineSnapshot(`
    "TENANT     id  note
    company-1   1  a
    company-3   1  a
    "
  `);
  expect(steady(stderr.slice(stderr.indexOf('✖ company-2')))).toMatchInlineSnapshot(`
    "✖ company-2  column "note" does not exist (42703)
    ✖ company-2
        column "note" does not exist  (42703)
        --sql:2:5
          1 │ select id
        ▸ 2 │   , note from meters where id = 1
            │     ^
        Look:  mpm-migrate status --tenant 2

    ✔ 2 executed   ✖ 1 failed   3 tenants in 0.0s
    "
  `);
});

const TRICKS = [
  'delete from meters',
  'set transaction read write; delete from meters',
  "select set_config('transaction_read_only', 'off', true); delete from meters",
  'set default_transaction_read_only = off; delete from meters',
  'set session characteristics as transaction read write; delete from meters',
  'reset transaction_read_only; delete from meters',
  'savepoint a; set transaction read write; delete from meters',
  'rollback to savepoint a; delete from meters',
  'do $$ begin commit; delete from meters; end $$',
  "do $$ begin execute 'commit'; delete from meters; end $$",
  "do $$ begin perform set_config('transaction_read_only', 'off', false); delete from meters; end $$",
  'create table stolen ()',
  'with gone as (delete from meters returning *) select * from gone',
  "select setval('s', 9)",
];

const REFUSED = [
  'commit; delete from meters',
  'select 1; COMMIT AND CHAIN; delete from meters',
  '/* a */ end; delete from meters',
  'rollback; begin; delete from meters; commit',
  'abort; delete from meters',
  'start transaction read write',
  "prepare transaction 'x'",
  "copy meters to program 'cat'",
  'copy meters from stdin',
  '\\! ls',
  "select 'open",
];

test('fleet 24: read-only holds, whatever is tried', async () => {
  const { fleet } = await ready(1);
  await fleet.of(fleet.tenants[0], 'create sequence s');
  for (const sql of TRICKS) {
    const report = await exec(fleet.config, { all: true }, sql);
    expect({ sql, failed: report.counts.failed }).toEqual({ sql, failed: 1 });
  }
  for (const sql of REFUSED) {
    await expect(exec(fleet.config, { all: true }, sql)).rejects.toMatchObject({ code: 'USAGE' });
  }
  // With this setting the server would read a COMMIT where the check reads the rest of a string.
  const database = fleet.tenants[0]?.database;
  await fleet.of(fleet.tenants[0], `alter database "${database}" set standard_conforming_strings = off`);
  const hidden = await exec(
    fleet.config,
    { all: true },
    String.raw`select 'a\''; commit; delete from meters; --'`,
  );
  expect(hidden.rows?.[0]?.tables).toMatchObject([
    { rows: [[String.raw`a\'; commit; delete from meters; --`]] },
  ]);
  const rows = await fleet.of(fleet.tenants[0], 'select id from meters order by id');
  expect(rows).toEqual([{ id: 1 }, { id: 2 }]);
  expect(
    await fleet.of(
      fleet.tenants[0],
      "select to_regclass('stolen') as stolen, (select last_value from s)::int as s",
    ),
  ).toEqual([{ stolen: null, s: 1 }]);
});

test('fleet 24: --write is one transaction for each tenant, and a run of the ledger', async () => {
  const { fleet, mpm } = await ready();
  await fleet.of(fleet.tenants[2], 'insert into meters values (3)');
  const { code, stdout, stderr } = await mpm(
    'exec',
    '--all',
    '--concurrency',
    '1',
    '--write',
    '--sql',
    "update meters set note = 'w'; insert into meters values (3)",
  );
  expect(code).toBe(3);
  expect(steady(stdout)).toMatchInlineSnapshot(`
    "TENANT     COMMAND  ROWS
    company-1  UPDATE      2
    company-1  INSERT      1
    company-2  UPDATE      2
    company-2  INSERT      1
    "
  `);
  expect(stderr).toContain('    Everything was rolled back.');
  expect(stderr).toContain('mpm-migrate exec --failed=2 …');
  expect(await fleet.of(fleet.tenants[0], 'select note from meters')).toEqual([
    { note: 'w' },
    { note: 'w' },
    { note: null },
  ]);
  expect(await fleet.of(fleet.tenants[2], "select from meters where note = 'w'")).toEqual([]);
  const show = await mpm('run', 'show', '2', '--json');
  expect(JSON.parse(show.stdout)).toMatchObject({
    run: { verb: 'exec', outcome: 'failed', counts: { executed: 2, failed: 1 } },
  });
  await fleet.of(fleet.tenants[2], 'delete from meters where id = 3');
  const again = await mpm(
    'exec',
    '--failed=2',
    '--write',
    '--json',
    '--sql',
    'insert into meters values (3)',
  );
  expect(JSON.parse(again.stdout)).toMatchObject({ counts: { total: 1, executed: 1 } });
  const escape = await mpm('exec', '--all', '--write', '--sql', 'select 1; commit');
  expect(escape.code).toBe(2);
  expect(escape.stderr).toContain('COMMIT is not for exec');
});

test('a tenant on hold is read, and not written; the statement timeout holds', async () => {
  const { fleet, mpm } = await ready(2);
  await fleet.central("update company_databases set status = 'hold', reason = 'audit' where company_id = 1");
  const read = await exec(fleet.config, { all: true }, 'select 1');
  expect(read.counts).toMatchObject({ executed: 2 });
  const written = await exec(fleet.config, { all: true }, 'select 1', { write: true });
  expect(written.counts).toMatchObject({ executed: 1, skipped: 1 });
  const slow = await mpm(
    'exec',
    '--tenant',
    '2',
    '--statement-timeout',
    '200ms',
    '--sql',
    'select pg_sleep(20)',
  );
  expect(slow.code).toBe(3);
  expect(slow.stderr).toContain('statement timeout');
});

test("usage: neither --sql nor --file, a file that doesn't exist, --events -", async () => {
  const { mpm } = await ready(1);
  for (const [args, said] of [
    [[], 'Say what is to be run: --sql or --file'],
    [['--file', 'none.sql'], '--file none.sql cannot be read'],
    [['--sql', ' -- nothing'], '--sql: no statements'],
    [['--sql', 'select 1', '--events', '-'], '--events - and the rows both want stdout'],
    [['--sql', 'select 1', '--format', 'xml'], '--format=xml'],
  ] as const) {
    const { code, stderr } = await mpm('exec', '--all', ...args);
    expect(code).toBe(2);
    expect(stderr).toContain(said);
  }
});

test('fleet 44: statements from stdin that are not UTF-8 are refused', async () => {
  const { fleet } = await ready(1);
  const input = Buffer.from("select 'caf\xe9'", 'latin1');
  const { code, stderr } = await cli(['exec', '--all', '--file', '-'], { cwd: fleet.config.root, input });
  expect(code).toBe(2);
  expect(stderr).toContain('stdin is not UTF-8');
  expect(stderr).toContain('iconv -f LATIN1 -t UTF-8');
});

test('rows into a pipe that closes after one line: no trace, and the end comes', async () => {
  const { fleet } = await ready(3);
  const sql = 'select g, repeat(md5(g::text), 20) from generate_series(1, 20000) g';
  const { child, result } = await startCli(['exec', '--all', '--format', 'ndjson', '--sql', sql], {
    cwd: fleet.config.root,
  });
  for await (const line of createInterface({ input: child.stdout })) {
    expect(JSON.parse(line)).toMatchObject({ row: { g: 1 } });
    break;
  }
  child.stdout.destroy();
  const gone = result.catch(() => undefined);
  while (child.exitCode === null) await sleep(20);
  expect(child.exitCode).toBe(0);
  await gone;
});
