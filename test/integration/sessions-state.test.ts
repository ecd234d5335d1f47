import { type Kysely, sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { Fleet } from '../../src/fleet/fleet.ts';
import { withDatabases } from '../helpers/database.ts';
import { pgbouncerAvailable, startPgbouncer } from '../helpers/pgbouncer.ts';
import { openSessions, type Owned } from '../helpers/sessions.ts';

const databases = withDatabases();

type Noted = Owned & { note: { t: string } };

/** One tenant and one connection to it: whoever comes next gets what the one before left. */
async function openOne(reset: 'auto' | 'always' | 'never' = 'auto') {
  const { made, fleet } = await openSessions(databases, { count: 1, sessions: { perTenant: 1, reset } });
  const [tenant] = made.tenants;
  await made.of(tenant!, 'create table note (t text)');
  const db = await fleet.connect<Noted>(tenant!.id);
  const notes = async () =>
    (await made.of<{ t: string }>(tenant!, 'select t from note order by t')).map(({ t }) => t);
  return { made, fleet, tenant: tenant!, db, notes };
}

async function one<T>(db: Kysely<Noted>, query: string): Promise<T | undefined> {
  return (await sql.raw<{ v: T }>(query).execute(db)).rows[0]?.v;
}

test('fleet 29: a begin that nobody awaited takes in nobody else’s statements', async () => {
  const { fleet, db, notes } = await openOne();
  await db.connection().execute(async (borrowed) => {
    void sql`begin`.execute(borrowed);
  });
  await db.insertInto('note').values({ t: 'acknowledged' }).execute();
  expect(await notes()).toEqual(['acknowledged']);
  await fleet.close();
  expect(await notes()).toEqual(['acknowledged']);
});

test('fleet 29: a message that begins a transaction and fails leaves it to nobody', async () => {
  const { db, notes } = await openOne();
  await expect(sql.raw('begin; select 1/0').execute(db)).rejects.toMatchObject({ code: '22012' });
  await db.insertInto('note').values({ t: 'acknowledged' }).execute();
  expect(await notes()).toEqual(['acknowledged']);
});

test('fleet 29: a query on a connection that was already returned says so', async () => {
  const { db } = await openOne();
  let kept: Kysely<Noted> | undefined;
  await db.connection().execute(async (borrowed) => {
    kept = borrowed;
  });
  await expect(sql`select 1`.execute(kept!)).rejects.toMatchObject({
    code: 'USAGE',
    hint: expect.any(String),
  });
});

test('fleet 29: a transaction whose statement failed never says committed', async () => {
  const { fleet, db, notes } = await openOne();
  const swallowed = db.transaction().execute(async (trx) => {
    await trx.insertInto('note').values({ t: 'lost' }).execute();
    await sql`select 1/0`.execute(trx).catch(() => undefined);
    return 'committed';
  });
  await expect(swallowed).rejects.toMatchObject({
    code: 'TRANSACTION_ABORTED',
    message: expect.stringContaining('division by zero'),
    database: { code: '22012' },
  });
  const controlled = await db.startTransaction().execute();
  await sql`select 1/0`.execute(controlled).catch(() => undefined);
  await expect(controlled.commit().execute()).rejects.toMatchObject({ code: 'TRANSACTION_ABORTED' });
  await controlled
    .rollback()
    .execute()
    .catch(() => undefined);
  // What was rolled back to a savepoint does not count.
  await db.transaction().execute(async (trx) => {
    await sql`savepoint s`.execute(trx);
    await sql`select 1/0`.execute(trx).catch(() => undefined);
    await sql`rollback to savepoint s`.execute(trx);
    await trx.insertInto('note').values({ t: 'kept' }).execute();
  });
  expect(await notes()).toEqual(['kept']);
  expect(fleet.stats()).toMatchObject({ inUse: 0, waiting: 0 });
});

const STATES = [
  [
    'search_path',
    'set search_path = pg_catalog',
    "select current_setting('search_path') as v",
    '"$user", public',
  ],
  [
    'a setting',
    "select set_config('work_mem', '128kB', false)",
    "select current_setting('work_mem') as v",
    '4MB',
  ],
  ['the role', 'set role pg_monitor', 'select current_user = session_user as v', true],
  ['a temporary table', 'create temp table t (i int)', "select to_regclass('t')::text as v", null],
  [
    'an advisory lock',
    'select pg_advisory_lock(42)',
    "select count(*)::int as v from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    0,
  ],
  ['a channel', 'listen orders', 'select count(*)::int as v from pg_listening_channels()', 0],
  [
    'a prepared statement',
    'prepare p as select 1',
    'select count(*)::int as v from pg_prepared_statements where from_sql',
    0,
  ],
  [
    'a cursor',
    'begin; declare c cursor with hold for select 1; commit',
    'select count(*)::int as v from pg_cursors where is_holdable',
    0,
  ],
] as const;

test('fleet 29: session state does not reach the next borrower', async () => {
  const { fleet, db } = await openOne();
  for (const [what, change, look, clean] of STATES) {
    expect({ what, found: await one(db, look) }).toEqual({ what, found: clean });
    await sql.raw(change).execute(db);
    expect({ what, found: await one(db, look) }).toEqual({ what, found: clean });
  }
  const { opened } = fleet.stats();
  expect(opened).toBe(STATES.length + 1);
  // The rest goes on over the one connection.
  await sql`update owner set id = id`.execute(db);
  await db.transaction().execute(async (trx) => {
    await sql`set local search_path = pg_catalog`.execute(trx);
    await sql`select set_config('work_mem', '128kB', true)`.execute(trx);
  });
  expect(await one(db, "select current_setting('search_path') as v")).toBe('"$user", public');
  expect(fleet.stats().opened).toBe(opened);
});

test('fleet 29: sessions.reset: always closes after every use, never lends on', async () => {
  const always = await openOne('always');
  for (let n = 0; n < 3; n += 1) await sql`select 1`.execute(always.db);
  expect(always.fleet.stats()).toMatchObject({ opened: 3, idle: 0 });
  const never = await openOne('never');
  await sql`set search_path = pg_catalog`.execute(never.db);
  expect(await one(never.db, "select current_setting('search_path') as v")).toBe('pg_catalog');
  expect(never.fleet.stats().opened).toBe(1);
});

describe.skipIf(!pgbouncerAvailable)('behind a pooler', () => {
  test('fleet 29: a transaction pooler is sent no SQL that changes the session it lends; a session pooler is', async () => {
    const { made, tenant } = await openOne();
    const server = made.config.servers['default']!;
    const through = async (mode: 'transaction' | 'session') => {
      const pooler = await startPgbouncer(server.url, { mode });
      const servers = { default: { ...server, url: pooler.through(server.url), directUrl: server.url } };
      const fleet = new Fleet({ ...made.config, servers });
      return { pooler, db: await fleet.connect<Noted>(tenant.id), fleet };
    };
    for (const [mode, outcome] of [
      ['transaction', 'SESSION_STATE'],
      ['session', 'sent'],
    ] as const) {
      const { pooler, db, fleet } = await through(mode);
      expect(await one(db, 'select id as v from owner')).toBe(Number(tenant.id));
      const sent = sql`set search_path = pg_catalog`.execute(db).then(
        () => 'sent',
        (error: { code: string }) => error.code,
      );
      expect({ mode, outcome: await sent }).toEqual({ mode, outcome });
      expect(await one(db, "select current_setting('search_path') as v")).toBe('"$user", public');
      await fleet.close();
      await pooler.stop();
    }
  });
});
