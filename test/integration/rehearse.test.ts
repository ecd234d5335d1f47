import pg from 'pg';
import { expect, test } from 'vitest';
import { exitCodeOf } from '../../src/cli/exit-code.ts';
import { NEVER_COMMIT } from '../../src/engine/rehearse/session.ts';
import type { RehearseReport } from '../../src/fleet/report/rehearse-report.ts';
import { rehearse } from '../../src/fleet/verbs/rehearse.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet, type TestTenant } from '../helpers/fleet.ts';

const databases = withDatabases();
const all = { all: true };

const BASE = {
  'core/1_base.sql': `create table customers (id int primary key);
create table orders (id int primary key, customer int references customers deferrable initially deferred, amount int);
create type kind as enum ('a');
create sequence numbers;`,
};

/** All that a rehearsal could leave: catalogs and files, rows, stamps, the ledger. */
async function allOf({ tenants, of, central }: TestFleet): Promise<unknown[]> {
  const each = tenants.map((tenant) =>
    of(
      tenant,
      `select (select md5(string_agg(c::text, ',' order by c.oid)) from (select oid, relname, relfilenode, relnatts, relchecks from pg_class) c) as classes,
  (select md5(string_agg(a::text, ',' order by attrelid, attnum)) from pg_attribute a) as columns,
  (select md5(string_agg(k::text, ',' order by oid)) from pg_constraint k) as constraints,
  (select md5(string_agg(p::text, ',' order by oid)) from pg_proc p where oid >= 16384) as functions,
  (select md5(string_agg(o::text, ',' order by id)) from orders o) as rows,
  (select md5(string_agg(h::text, ',' order by position)) from mpm_migrate.history h) as history,
  (select last_value from numbers) as number,
  shobj_description((select oid from pg_database where datname = current_database()), 'pg_database') as stamp`,
    ),
  );
  const ledger = central(
    'select (select count(*) from mpm_migrate.runs) as runs, (select count(*) from mpm_migrate.run_tenants) as tenants',
  );
  return Promise.all([...each, ledger]);
}

async function held(database: string | undefined, sql: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: testServer(database), application_name: 'test-holder' });
  await client.connect();
  await client.query(`begin; ${sql}`);
  return client;
}

/** Sends the statement again and again until the work is done; fails when it once waits for 20 s. */
async function beside<T>(work: Promise<T>, tenant: TestTenant | undefined, sql: string): Promise<T> {
  const state = { over: false };
  const ending = work.finally(() => (state.over = true));
  while (!state.over) {
    const client = await held(tenant?.database, `set local statement_timeout = '20s'; ${sql}`);
    await client.end();
  }
  return ending;
}

function unrehearsed(report: RehearseReport): string[] {
  return report.unrehearsed.map(({ migration, reason, count }) => `${count}: ${migration} ${reason}`);
}

test('confidence 4: says who would fail, where, and on what; leaves nothing; up then does as said', async () => {
  const fleet = await makeFleet(databases, { count: 9, files: BASE });
  const { config, tenants, of } = fleet;
  const quick = { ...config, pace: { ...config.pace, lockTimeout: 500 } };
  await up(config, all);
  for (const [index, tenant] of tenants.entries()) {
    const rows = index === 8 ? 20_000 : 20;
    await of(
      tenant,
      `insert into customers values (1), (2);
insert into orders select n, 1, n from generate_series(1, ${rows}) n`,
    );
  }
  await of(tenants[0], 'update orders set amount = 0 where id = 3');
  await of(tenants[1], 'update orders set amount = -1 where id = 9');
  await of(tenants[2], 'delete from customers where id = 2');
  await fleet.write({
    'core/2_big.sql': '-- wider\nalter table orders alter amount type bigint;',
    'core/3_positive.sql': 'select 1;\nalter table orders add constraint positive check (amount > 0);',
    'core/4_move.sql': 'update orders set customer = 2 where id < 5;',
    // Passes only where its constraint is deferred again, and not before the last of its own.
    'core/5_late.sql': 'insert into orders values (-1, 7, 1); insert into customers values (7);',
  });
  const before = await allOf(fleet);
  const holders = await Promise.all(
    tenants.slice(3, 5).map(({ database }) => held(database, 'select from orders')),
  );
  const report = await rehearse(quick, all);
  await Promise.all(holders.map((holder) => holder.end()));
  expect(await allOf(fleet)).toEqual(before);

  expect(report).toMatchObject({ run: null, counts: { total: 9, rehearsed: 4, failed: 5 } });
  expect(exitCodeOf(report)).toBe(3);
  const failures = report.failures.map(({ error, tenants: who }) => [
    error.migration,
    error.database?.code,
    error.excerpt?.line,
    who.map(({ id }) => id),
  ]);
  expect(failures.toSorted()).toEqual([
    ['2_big', '55P03', 2, ['4', '5']],
    ['3_positive', '23514', 2, ['1', '2']],
    ['4_move', '23503', undefined, ['3']],
  ]);
  const [lock, commit] = ['55P03', '23503'].map((code) =>
    report.failures.find(({ error }) => error.database?.code === code),
  );
  expect(lock?.error.message).toContain('"test-holder"');
  expect(commit?.error.aftermath).toContain('at COMMIT');
  expect(report.migrations.map(({ name, count, locks }) => [name, count, locks])).toEqual([
    ['2_big', 4, [{ table: 'orders', mode: 'ACCESS EXCLUSIVE', count: 4 }]],
    ['3_positive', 4, []],
    [
      '4_move',
      4,
      [
        { table: 'orders', mode: 'ROW EXCLUSIVE', count: 4 },
        { table: 'customers', mode: 'ROW SHARE', count: 4 },
      ],
    ],
    ['5_late', 4, [{ table: 'customers', mode: 'ROW EXCLUSIVE', count: 4 }]],
  ]);
  const [rewritten] = report.migrations[0]?.rewritten ?? [];
  expect(rewritten).toMatchObject({ table: 'orders', count: 4, largest: { tenant: { id: '9' } } });
  expect(report.forecast).toMatchObject({ complete: false, servers: [{ server: 'default' }] });

  // A table that is too large is not rewritten for nothing.
  const small = await rehearse(quick, { tenants: ['9'] }, { maxSize: '100kB' });
  expect(small).toMatchObject({ counts: { skipped: 1 } });
  expect(small.skipped[0]?.reason).toMatch(
    /^not rehearsed: 2_big rewrites orders, 1\.\d MB, more than 100 kB/,
  );

  const after = await up(quick, all);
  expect(after.counts).toMatchObject({ migrated: 6, failed: 3 });
});

test('confidence 4: what fails only in one transaction, or does not roll back, is not rehearsed', async () => {
  const fleet = await makeFleet(databases, { count: 1, files: BASE });
  const { config, of, tenants } = fleet;
  await up(config, all);
  await of(
    tenants[0],
    `create table logged (id int);
create function far() returns trigger language plpgsql as $$ begin perform dblink_exec('x', 'y'); return new; end $$;
create trigger far before insert on logged for each row execute function far()`,
  );
  const state = await allOf(fleet);
  const first = {
    'core/2_first.sql': `alter type kind add value 'b'; insert into orders values (1, null, 1);`,
  };
  const SQL = "import { sql } from 'kysely';\n";
  const cases: [file: string, text: string, reason: string | undefined][] = [
    [
      'enum.sql',
      `create table k (k kind default 'b');`,
      'needs an earlier one to be committed: unsafe use of new value "b" of enum type kind',
    ],
    ['index.sql', 'create index concurrently on orders (amount);', 'runs outside a transaction'],
    ['do.sql', '-- migrate:up transaction:false\ndo $$ begin commit; end $$;', 'runs outside a transaction'],
    ['setval.sql', `select setval('numbers', 99);`, "does what doesn't roll back: setval"],
    [
      'body.sql',
      `do $$ begin execute 'select set' || 'val(''numbers'', 9)'; perform setval('numbers', 9); end $$;`,
      "does what doesn't roll back: setval",
    ],
    [
      'made.sql',
      `create function g() returns bigint language sql as $$ select setval('numbers', 9) $$; select g();`,
      "does what doesn't roll back: g",
    ],
    ['there.sql', 'insert into logged values (1);', "does what doesn't roll back: logged"],
    ['file.sql', `copy orders to '/tmp/orders';`, "does what doesn't roll back: COPY to a file"],
    [
      'code.ts',
      `${SQL}export const up = (db) => sql\`select 1\`.execute(db);`,
      'is TypeScript, which may act outside the database: add --modules',
    ],
    [
      'fine.sql',
      `select nextval('numbers'); set constraints all immediate; create function h() returns void language sql as $$ select $$;`,
      undefined,
    ],
  ];
  for (const [file, text, reason] of cases) {
    await fleet.write({ ...first, [`core/3_${file}`]: text });
    const report = await rehearse(config, all);
    expect(report.failures).toEqual([]);
    expect(unrehearsed(report)).toEqual(reason === undefined ? [] : [`1: 3_${file.split('.')[0]} ${reason}`]);
    expect(report.migrations.map(({ name }) => name)[0]).toBe('2_first');
    await fleet.remove(`core/3_${file}`);
  }
  const modules: [text: string, found: string | undefined][] = [
    ['await sql`alter table orders add more int`.execute(db);', undefined],
    ['await sql.raw("select 1; commit; create table stays ()").execute(db);', 'it ends its transaction'],
    ["await sql.raw(\"select dblink_exec('x', 'y')\").execute(db).catch(() => 0);", 'dblink_exec'],
  ];
  for (const [text, found] of modules) {
    await fleet.write({ 'core/3_code.ts': `${SQL}export const up = async (db) => { ${text} };` });
    const report = await rehearse(config, all, { modules: true });
    expect(report.failures).toEqual([]);
    expect(unrehearsed(report)).toEqual(
      found === undefined ? [] : [`1: 3_code does what doesn't roll back: ${found}`],
    );
    await fleet.remove('core/3_code.ts');
  }
  // Only a number is gone, as its page says.
  const [now] = await allOf(fleet);
  expect(now).toEqual([{ ...(state[0] as object[])[0], number: '1' }]);

  const client = await held(tenants[0]?.database, `${NEVER_COMMIT}; create table stays ()`);
  await expect(client.query('commit')).rejects.toThrow('a rehearsal is never committed');
  await client.end();
  expect(await allOf(fleet)).toEqual([now, state[1]]);
  await expect(rehearse(config, all, { lockLimit: 'soon' })).rejects.toMatchObject({ code: 'USAGE' });
  await expect(rehearse(config, all, { maxSize: '1 XB' })).rejects.toMatchObject({ code: 'USAGE' });
});

test('confidence 4: nobody waits for a rehearsal for longer than --lock-limit', async () => {
  const fleet = await makeFleet(databases, { count: 2, files: BASE });
  const { config, tenants } = fleet;
  await up(config, all);
  await fleet.write({
    'core/2_long.sql': 'select 1;\nalter table orders add more int;\nselect pg_sleep(600);',
  });
  const before = await allOf(fleet);
  // Would otherwise wait for ten minutes.
  const report = await beside(
    rehearse(config, { tenants: ['1'] }, { lockLimit: '400ms' }),
    tenants[0],
    'select from orders',
  );
  expect(report.failures.map(({ error }) => [error.code, error.message, error.migration])).toEqual([
    ['LOCK_LIMIT', 'holds ACCESS EXCLUSIVE on orders longer than 400 ms', '2_long'],
  ]);
  expect(report.failures[0]?.error.excerpt).toMatchObject({ line: 3 });

  // A lock that an earlier one took would have been released by then.
  await fleet.write({
    'core/2_long.sql': 'alter table orders add more int;',
    'core/3_wait.sql': 'select pg_sleep(600);',
  });
  const shared = await rehearse(config, { tenants: ['1'] }, { lockLimit: '1s' });
  expect(unrehearsed(shared)).toEqual([
    '1: 3_wait would keep ACCESS EXCLUSIVE on orders, which an earlier one took, longer than 1 s',
  ]);

  // Rows, too.
  await fleet.of(tenants[1], 'insert into orders values (1, null, 1)');
  await fleet.write({ 'core/2_long.sql': 'update orders set amount = 2;\nselect pg_sleep(600);' });
  const rows = await beside(
    rehearse(config, { tenants: ['2'] }, { lockLimit: '300ms', to: '2' }),
    tenants[1],
    'update orders set amount = 3',
  );
  expect(rows.failures.map(({ error }) => error.code)).toEqual(['LOCK_LIMIT']);
  await fleet.of(tenants[1], 'delete from orders');
  expect(await allOf(fleet)).toEqual(before);
});
