import { describe, expect, test } from 'vitest';
import { lockKeys } from '../../src/engine/history/lock-sql.ts';
import { inspect } from '../../src/engine/history/lost.ts';
import { readMigrations } from '../../src/engine/source/source.ts';
import { connect } from '../../src/postgres/connect.ts';
import { startEmbedded } from '../../src/postgres/embedded/embedded.ts';
import { withDatabases } from '../helpers/database.ts';
import {
  backendDoing,
  down,
  folderOf,
  historyOf,
  migrations,
  OPTIONS,
  rowsIn,
  startRunner,
  up,
  withFolders,
} from '../helpers/engine.ts';
import { targetOf } from '../helpers/options.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();
withFolders();

const OUTSIDE = '-- migrate:up transaction:false\n';
const TABLE = { '1_t.sql': 'create table t (id int, note text);' };

interface Row {
  state: string;
  done: number;
  begun: number | null;
}

async function rowOf(url: string, name: string): Promise<Row | undefined> {
  const [row] = await rowsIn<Row>(
    url,
    `select state, statements_done as done, statement_begun as begun from mpm_migrate.history where name = '${name}'`,
  );
  return row;
}

/** As a process leaves it that is killed while statement `number` is at work, or right behind it. */
async function leaveBegun(url: string, name: string, number: number | null, done: number): Promise<void> {
  await rowsIn(
    url,
    `update mpm_migrate.history set state = 'running', finished_at = null, statements_done = ${done}, statement_begun = ${number},
      backend_pid = 2147483647, backend_start = now() where name = '${name}'`,
  );
}

describe('a backend that an earlier attempt left at work', () => {
  const files = {
    ...TABLE,
    '2_steps.sql': `${OUTSIDE}insert into t select 3 from pg_sleep(3);\ncreate index concurrently i on t (id);`,
  };

  test('engine 40: kill -9 in a statement, resumed at once: waited for, and run once', async () => {
    const { url } = await databases.create();
    const folder = await folderOf(files);
    const runner = await startRunner(url, folder);
    const pid = await backendDoing(url, "wait_event = 'PgSleep'");
    runner.kill();
    await runner.finished;
    const set = await readMigrations(folder, 'core');
    const busy = await up(url, set, { force: true, pace: { ...OPTIONS.pace, lockWait: 0 } });
    expect(busy).toMatchObject({ outcome: 'busy', error: { code: 'BUSY' } });
    expect(busy.error?.message).toMatch(
      `an earlier attempt at 2_steps is still running on the server: held by pid ${pid}`,
    );
    expect(busy.error?.hint).toContain(`pg_terminate_backend(${pid})`);
    // Engine 60: nobody offers to resume it meanwhile.
    const { plan } = await inspect(targetOf(url), set, OPTIONS);
    expect(plan.refusals).toMatchObject([{ state: 'running', message: '2_steps is running now' }]);

    const reasons: string[] = [];
    const result = await up(url, set, {
      force: true,
      pace: { ...OPTIONS.pace, lockWait: 60_000 },
      onWaiting: (reason) => void reasons.push(reason),
    });
    expect(result).toMatchObject({ outcome: 'migrated' });
    expect(reasons.join('\n')).toContain(`held by pid ${pid}`);
    expect(await rowsIn(url, 'select id from t')).toEqual([{ id: 3 }]);
    expect(await rowOf(url, '2_steps')).toEqual({ state: 'applied', done: 2, begun: null });
  });

  test('engine 40: a statement whose row was taken over rolls back with its record', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      ...TABLE,
      '2_steps.sql': `${OUTSIDE}insert into t select 1 from pg_sleep(1);`,
    });
    const running = up(url, set);
    await backendDoing(url, "wait_event = 'PgSleep'");
    await leaveBegun(url, '2_steps', null, 0);
    const result = await running;
    expect(result.error?.message).toMatch(/the history was changed meanwhile/);
    expect(await rowsIn(url, 'select id from t')).toEqual([]);
    expect(await rowOf(url, '2_steps')).toEqual({ state: 'running', done: 0, begun: null });
  });
});

describe('in a transaction with its progress', () => {
  test('engine 40: all that PostgreSQL does not refuse there, so that a killed backend leaves none of it', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      ...TABLE,
      '2_do.sql': `${OUTSIDE}do $$ begin insert into t values (1); perform pg_sleep(30); end $$;`,
    });
    const running = up(url, set);
    const pid = await backendDoing(url, "wait_event = 'PgSleep'");
    expect(await rowOf(url, '2_do')).toEqual({ state: 'running', done: 0, begun: null });
    await rowsIn(url, `select pg_terminate_backend(${pid})`);
    expect(await running).toMatchObject({ outcome: 'failed' });
    expect(await rowsIn(url, 'select id from t')).toEqual([]);
  });

  test('engine 40: where only the server knows that it refuses a statement there, it is sent alone', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_t.sql': `create table p (id int) partition by range (id); create table p1 partition of p for values from (0) to (9);
create index p_i on p (id); create materialized view m as select 1 as id; create unique index m_i on m (id);`,
      '2_alone.sql': `${OUTSIDE}reindex table p;\ncluster p1 using p1_id_idx;\nrefresh materialized view concurrently m;\nanalyze p;\nreindex index m_i;\nselect 1;`,
    });
    const result = await up(url, set);
    expect(result.error).toBeUndefined();
    expect(await rowOf(url, '2_alone')).toEqual({ state: 'applied', done: 6, begun: null });
  });
});

describe('a bare statement that was begun', () => {
  const INDEX = 'create index concurrently i on t (lower(note), id desc) where note is not null;';
  const files = {
    ...TABLE,
    '2_index.sql': `${OUTSIDE}insert into t values (1);\n${INDEX}\ninsert into t values (2);`,
  };

  test('engine 40: an index that is there as the statement says is done', async () => {
    const { url } = await databases.create();
    const set = await migrations(files);
    await up(url, set);
    await rowsIn(url, 'delete from t where id = 2');
    await leaveBegun(url, '2_index', 2, 1);
    const [before] = await rowsIn(url, "select 'i'::regclass::oid as oid");
    expect(await up(url, set)).toMatchObject({ outcome: 'refused' });
    const resumed = await up(url, set, { force: true });
    expect(resumed.error).toBeUndefined();
    expect(await rowsIn(url, "select 'i'::regclass::oid as oid")).toEqual([before]);
    expect(await rowsIn(url, 'select id from t order by id')).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await rowsIn(url, "select relname from pg_class where relname like 'probe%'")).toEqual([]);
  });

  test.each([
    'create index i on t (lower(note), id) where note is not null',
    'create unique index i on t (id)',
  ])('engine 40: an index of that name that is another one tells nothing: %s', async (other) => {
    const { url } = await databases.create();
    const set = await migrations(files);
    await up(url, set);
    await rowsIn(url, `delete from t where id = 2; drop index i; ${other}`);
    await leaveBegun(url, '2_index', 2, 1);
    const refused = await up(url, set, { force: true });
    expect(refused).toMatchObject({ outcome: 'refused', error: { code: 'PLAN_REFUSED' } });
    expect(refused.error?.message).toBe(
      "2_index was interrupted at statement 2 of 3, which runs outside a transaction: it isn't known whether it was done",
    );
    expect(refused.error?.hint).toMatch(
      /resolve 2_index --tenant \{tenant\} --retry\n.*resolve 2_index --tenant \{tenant\} --skip/,
    );
    expect(await rowOf(url, '2_index')).toEqual({ state: 'running', done: 1, begun: 2 });
  });

  test("engine 40: an index that doesn't exist, and one that is half-built, are made", async () => {
    const { url } = await databases.create();
    const set = await migrations(files);
    await up(url, set);
    await rowsIn(url, 'delete from t where id = 2; drop index i');
    await leaveBegun(url, '2_index', 2, 1);
    expect((await up(url, set, { force: true })).error).toBeUndefined();
    await rowsIn(
      url,
      "delete from t where id = 2; update pg_index set indisvalid = false where indexrelid = 'i'::regclass",
    );
    await leaveBegun(url, '2_index', 2, 1);
    expect((await up(url, set, { force: true })).error).toBeUndefined();
    expect(await rowsIn(url, "select indisvalid from pg_index where indexrelid = 'i'::regclass")).toEqual([
      { indisvalid: true },
    ]);
  });

  test('engine 40: a dropped index, a detached partition, a half-detached one', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_p.sql': `create table p (id int) partition by range (id);
create table p1 partition of p for values from (0) to (9); create table p2 partition of p for values from (9) to (19);
create table t (id int); create index i on t (id);`,
      '2_bare.sql': `${OUTSIDE}drop index concurrently i;\nalter table p detach partition p1 concurrently;\nalter table p detach partition p2 concurrently;\nvacuum t;`,
    });
    expect((await up(url, set)).error).toBeUndefined();
    await leaveBegun(url, '2_bare', 1, 0);
    await rowsIn(url, 'alter table p attach partition p1 for values from (0) to (9)');
    await rowsIn(url, 'alter table p attach partition p2 for values from (9) to (19)');
    // A reader of the parent keeps DETACH CONCURRENTLY waiting between its two transactions.
    const reader = await connect({ url, applicationName: 'reader', connectTimeout: 60_000 });
    await reader.raw('begin; select * from p');
    const running = up(url, set, { force: true });
    const pid = await backendDoing(
      url,
      "query like '%detach partition p1 concurrently%' and wait_event_type = 'Lock'",
    );
    await rowsIn(url, `select pg_terminate_backend(${pid})`);
    expect(await running).toMatchObject({ outcome: 'failed' });
    await reader.close();
    expect(
      await rowsIn(url, 'select inhdetachpending as pending from pg_inherits order by inhrelid::text'),
    ).toEqual([{ pending: true }, { pending: false }]);
    expect((await up(url, set, { force: true })).error).toBeUndefined();
    expect(await rowsIn(url, "select 1 from pg_inherits where inhparent = 'p'::regclass")).toEqual([]);
    await leaveBegun(url, '2_bare', 3, 2);
    expect((await up(url, set, { force: true })).error).toBeUndefined();
    // VACUUM once more does no more than once.
    await leaveBegun(url, '2_bare', 4, 3);
    expect((await up(url, set, { force: true })).error).toBeUndefined();
  });

  test('engine 40: of a DO that commits nobody can know: retry runs it again, skip goes on after it', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      ...TABLE,
      '2_do.sql': `${OUTSIDE}do $$ begin insert into t values (1); commit; end $$;\ninsert into t values (2);`,
    });
    await up(url, set);
    const leave = async () => {
      await rowsIn(url, 'truncate t');
      await leaveBegun(url, '2_do', 1, 0);
    };
    await leave();
    expect(await up(url, set, { force: true })).toMatchObject({ outcome: 'refused' });
    expect(await up(url, set, { only: '2_do' })).toMatchObject({ outcome: 'refused' });
    expect(await up(url, set, { only: '2_do', resume: 'retry' })).toMatchObject({ outcome: 'migrated' });
    expect(await rowsIn(url, 'select id from t order by id')).toEqual([{ id: 1 }, { id: 2 }]);
    await leave();
    expect(await up(url, set, { only: '2_do', resume: 'skip' })).toMatchObject({ outcome: 'migrated' });
    expect(await rowsIn(url, 'select id from t order by id')).toEqual([{ id: 2 }]);
    // What was not begun is not skipped.
    await leaveBegun(url, '2_do', null, 0);
    const refused = await up(url, set, { only: '2_do', resume: 'skip' });
    expect(refused.error?.message).toContain('there is nothing to skip');
  });

  test('engine 40: a module, and a statement that has failed', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      ...TABLE,
      '2_module.mjs': `import { sql } from 'kysely';
export const config = { transaction: false };
export async function up(db) { await sql\`insert into t values (1)\`.execute(db); }`,
      '3_wrong.sql': `${OUTSIDE}insert into t values (2);\nselect wrong;\ninsert into t values (3);`,
    });
    const failed = await up(url, set);
    expect(failed).toMatchObject({ outcome: 'failed', to: '2_module' });
    expect(failed.error?.hint).toContain('resolve 3_wrong --tenant {tenant} --retry');
    await leaveBegun(url, '2_module', 1, 0);
    const refused = await up(url, set, { force: true });
    expect(refused.error?.message).toBe(
      "2_module was interrupted, which runs outside a transaction: it isn't known whether it was done",
    );
    expect(await up(url, set, { only: '2_module', resume: 'skip' })).toMatchObject({ outcome: 'migrated' });
    expect(await up(url, set, { only: '3_wrong', resume: 'skip' })).toMatchObject({ outcome: 'migrated' });
    expect(await rowsIn(url, 'select id from t order by id')).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });
});

test('engine 40: the wire cut at each round trip, and resumed at once: each statement once', async () => {
  const { url } = await databases.create();
  await using proxy = await startProxy(url);
  const files: Record<string, string> = { ...TABLE };
  await up(url, await migrations(files));
  let cut = true;
  let step = 1;
  while (cut) {
    step += 1;
    files[`${step}_steps.sql`] = `${OUTSIDE}insert into t values (${step});
create index concurrently if not exists i${step} on t (id);
insert into t values (-${step});
drop index concurrently i${step};
vacuum t;`;
    const set = await migrations(files);
    cut = false;
    const before = proxy.counts.roundTrips;
    proxy.options = {
      onRoundTrip(number) {
        if (number - before !== step) return undefined;
        cut = true;
        return 'cut';
      },
    };
    await up(proxy.through(url), set);
    proxy.options = {};
    const pace = { ...OPTIONS.pace, lockWait: 60_000 };
    expect((await up(url, set, { force: true, pace })).error).toBeUndefined();
    expect(await rowsIn(url, `select id from t where abs(id) = ${step} order by id`)).toEqual([
      { id: -step },
      { id: step },
    ]);
  }
  expect(step).toBeGreaterThan(8);
  expect(await rowsIn(url, "select indexname from pg_indexes where tablename = 't'")).toEqual([]);
});

describe('engine 60: the connection that holds the lock is ended', () => {
  const files = {
    ...TABLE,
    '2_ran.sql': `${OUTSIDE}insert into t select 1 from pg_sleep(2);\ninsert into t select 2 from pg_sleep(1);`,
  };
  const LOCK = "application_name = 'mpm-migrate/7/42/lock' and state = 'idle in transaction'";

  test('it is taken again, and nobody else runs it meanwhile', async () => {
    const { url } = await databases.create();
    const set = await migrations(files);
    const running = up(url, set);
    await backendDoing(url, "wait_event = 'PgSleep'");
    const pid = await backendDoing(url, LOCK);
    await rowsIn(url, `select pg_terminate_backend(${pid})`);
    const { plan } = await inspect(targetOf(url), set, OPTIONS);
    expect(plan.refusals).toMatchObject([{ state: 'running' }]);
    const second = await up(url, set, { force: true, pace: { ...OPTIONS.pace, lockWait: 60_000 } });
    expect(await running).toMatchObject({ outcome: 'migrated' });
    expect(second).toMatchObject({ outcome: 'current' });
    expect(await rowsIn(url, 'select id from t order by id')).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test('where another one has the lock by then, nothing more is sent: interrupted', async () => {
    const { url } = await databases.create();
    const set = await migrations(files);
    const running = up(url, set);
    await backendDoing(url, "wait_event = 'PgSleep'");
    const pid = await backendDoing(url, LOCK);
    const other = await connect({ url, applicationName: 'other', connectTimeout: 60_000 });
    try {
      // Who waits for it has it as soon as it is free.
      const had = other.raw(`begin; select pg_advisory_xact_lock(${lockKeys(OPTIONS.history).join(', ')})`);
      await backendDoing(url, "wait_event = 'advisory'");
      await rowsIn(url, `select pg_terminate_backend(${pid})`);
      await had;
      expect(await running).toMatchObject({
        outcome: 'failed',
        error: {
          code: 'INTERRUPTED',
          aftermath: 'it stopped at statement 2 of 2; earlier work was kept',
        },
      });
    } finally {
      await other.close();
    }
    expect(await rowOf(url, '2_ran')).toEqual({ state: 'running', done: 1, begun: null });
    expect(await up(url, set, { force: true })).toMatchObject({ outcome: 'migrated' });
    expect(await rowsIn(url, 'select id from t order by id')).toEqual([{ id: 1 }, { id: 2 }]);
  });
});

test('engine 40: a down that stopped half-way is resumed where it stopped, and is no up', async () => {
  const { url } = await databases.create();
  const files = {
    ...TABLE,
    '2_two.sql': `create table a (id int); create table b (id int);\n-- migrate:down transaction:false\ninsert into t values (1);\nselect wrong;\ndrop table b;`,
  };
  files['2_two.sql'] = `-- migrate:up\n${files['2_two.sql']}`;
  const set = await migrations(files);
  await up(url, set);
  const failed = await down(url, set);
  expect(failed.error).toMatchObject({
    aftermath: 'it stopped at statement 2 of 3; earlier work was kept',
  });
  const asUp = await up(url, set, { force: true });
  expect(asUp.error).toMatchObject({ code: 'PLAN_REFUSED', message: 'the down of 2_two is half-done' });
  const mended = await migrations({ ...files, '2_two.sql': files['2_two.sql'].replace('wrong', '1') });
  expect(await down(url, mended, { only: '2_two', resume: 'retry' })).toMatchObject({ outcome: 'reverted' });
  expect(await rowsIn(url, 'select id from t')).toEqual([{ id: 1 }]);
  expect(await historyOf(url)).toEqual(['1_t applied']);
});

test('engine 40: the server crashes in a bare statement', async () => {
  await using server = await startEmbedded({ fsync: true });
  const { url } = server;
  const set = await migrations({
    ...TABLE,
    '2_do.sql': `${OUTSIDE}do $$ begin insert into t values (1); commit; perform pg_sleep(30); end $$;`,
  });
  const running = up(url, set);
  const pid = await backendDoing(url, "wait_event = 'PgSleep'");
  process.kill(pid, 'SIGKILL');
  expect((await running).outcome).toBe('failed');
  await expect.poll(() => rowsIn(url, 'select 1').catch(() => []), { timeout: 60_000 }).toHaveLength(1);
  expect(await rowOf(url, '2_do')).toEqual({ state: 'running', done: 0, begun: 1 });
  expect(await up(url, set, { force: true })).toMatchObject({ outcome: 'refused' });
  expect(await up(url, set, { only: '2_do', resume: 'skip' })).toMatchObject({ outcome: 'migrated' });
  expect(await rowsIn(url, 'select id from t')).toEqual([{ id: 1 }]);
});

test('engine 40, 57: a history that 0.1.0 made is read as it is, and gets its columns with the first claim', async () => {
  const { url } = await databases.create();
  const set = await migrations({
    ...TABLE,
    '2_steps.sql': `${OUTSIDE}insert into t values (1);\ncreate index concurrently i on t (id);\ninsert into t values (2);`,
  });
  await up(url, set);
  const hash = "encode(sha256('insert into t values (1)'), 'hex')";
  await rowsIn(
    url,
    `alter table mpm_migrate.history drop backend_pid, drop backend_start, drop statement_begun, drop reverting;
update mpm_migrate.history set state = 'running', statements_done = 1, statement_hashes = array[${hash}, 'x', 'y'] where name = '2_steps';
delete from t where id = 2`,
  );
  const { plan } = await inspect(targetOf(url), set, OPTIONS);
  expect(plan.refusals).toMatchObject([{ state: 'interrupted', names: ['2_steps'] }]);
  // It did not record what it begins.
  expect(await up(url, set, { force: true })).toMatchObject({ outcome: 'refused' });
  expect(await up(url, set, { only: '2_steps', resume: 'skip' })).toMatchObject({ outcome: 'migrated' });
  expect(await rowOf(url, '2_steps')).toEqual({ state: 'applied', done: 3, begun: null });
  expect(await rowsIn(url, 'select id from t order by id')).toEqual([{ id: 1 }, { id: 2 }]);
});
