import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { centralUp } from '../../src/central/schema/up.ts';
import type { MpmError } from '../../src/errors.ts';
import { doctor } from '../../src/fleet/doctor/doctor.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { adopt } from '../../src/tenants/adopt.ts';
import { hold, release } from '../../src/tenants/change.ts';
import { move } from '../../src/tenants/move/move.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { Sessions } from '../../src/sessions/sessions.ts';
import { connect } from '../../src/postgres/connect.ts';
import { configOf } from '../helpers/central.ts';
import { type TestDatabase, testServer, withDatabases } from '../helpers/database.ts';
import { folderOf, rowsIn, withFolders } from '../helpers/engine.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();
withFolders();

const CORE = `create table acc (id int primary key, v text);
insert into acc select i, 'v' || i from generate_series(1, 9) i;`;

interface Fleet {
  config: Config;
  url: string;
  id: string;
  old: string;
}

async function fleetOf(core = CORE): Promise<Fleet> {
  const { url } = await databases.create('central');
  const config = configOf(url, { templates: false });
  config.migrations = { ...config.migrations, core: await folderOf({ '1_acc.sql': core }) };
  config.servers['eu'] = { name: 'eu', url: testServer('postgres') };
  await centralUp(config);
  const { tenant } = await provision(config, { name: `${databases.prefix}Acme` });
  return { config, url, id: tenant.id, old: databases.adopt(tenant.database).name };
}

async function failure(work: Promise<unknown>): Promise<MpmError> {
  return work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as MpmError,
  );
}

/** As pg_dump and restore make it: a database of its own. */
const copyOf = (old: string): Promise<TestDatabase> => databases.clone(old, 'copy');

const to = ({ name }: TestDatabase) => ({ server: 'eu', database: name });

const isOpen = async (name: string) =>
  (await databases.query(`select from pg_database where datname = '${name}' and datallowconn`)).length === 1;

const placeIn = async (url: string) =>
  (
    await rowsIn<{ place: string }>(
      url,
      `select server || '/' || database_name as place from company_databases`,
    )
  )[0]?.place;

const moving = { reason: 'moving' };

test('fleet 41: what was written to the old database after the copy is never lost: refused, with the table', async () => {
  const { config, url, id, old } = await fleetOf();
  await hold(config, id, moving);
  const copy = await copyOf(old);
  for (const [change, difference] of [
    [
      "insert into acc select i, 'v' || i from generate_series(10, 89) i",
      'table public.acc has 9 instead of 89',
    ],
    ['delete from acc where id > 9', undefined],
    ["update acc set v = 'other' where id = 5", 'table public.acc has other values, in as many rows'],
    ["update acc set v = 'v5' where id = 5", undefined],
    ["create sequence s; select nextval('s')", 'sequence public.s is missing'],
    [
      'drop sequence s; alter table acc add w int',
      'table public.acc has the columns id integer, v text instead of id integer, v text, w integer',
    ],
    ['alter table acc drop w; select lo_create(4711)', 'pg_largeobject_metadata has 0 instead of 1'],
  ] as const) {
    await rowsIn(testServer(old), change);
    if (!difference) continue;
    expect(await failure(move(config, id, to(copy)))).toMatchObject({
      code: 'WRONG_DATABASE',
      message: expect.stringContaining(difference) as string,
      aftermath: 'nothing was changed',
      hint: expect.stringContaining(`mpm-migrate tenant hold ${id}`) as string,
    });
    expect(await isOpen(old)).toBe(true);
  }
  await rowsIn(testServer(old), 'select lo_unlink(4711)');
  const { tenant, notices } = await move(config, id, to(copy));
  expect(tenant).toMatchObject({ server: 'eu', database: copy.name, status: 'hold' });
  expect(notices.join()).toContain(`the old database "${old}" on server "default" is closed`);
  expect(await isOpen(old)).toBe(false);
  await release(config, id);
  expect((await up(config, { all: true })).counts).toMatchObject({ current: 1 });
  expect(await placeIn(url)).toBe(`eu/${copy.name}`);
});

test('fleet 41: with --counts-only, what may be lost is said, and stays in the old database', async () => {
  const { config, id, old } = await fleetOf();
  const copy = await copyOf(old);
  await rowsIn(testServer(old), "update acc set v = 'late' where id = 5");
  await hold(config, id, moving);
  expect(await failure(move(config, id, to(copy)))).toMatchObject({ code: 'WRONG_DATABASE' });
  await rowsIn(testServer(old), 'insert into acc values (10)');
  expect(await failure(move(config, id, { ...to(copy), countsOnly: true }))).toMatchObject({
    code: 'WRONG_DATABASE',
    message: expect.stringContaining('9 instead of 10') as string,
  });
  await rowsIn(testServer(old), 'delete from acc where id = 10');
  const { notices } = await move(config, id, { ...to(copy), countsOnly: true });
  expect(notices[0]).toMatch(/^only the number of rows was compared: .* only the old database has them$/);
  expect(await isOpen(old)).toBe(false);
  await databases.query(`alter database "${old}" allow_connections true`);
  expect(await rowsIn(testServer(old), 'select v from acc where id = 5')).toEqual([{ v: 'late' }]);
});

test('fleet 41: the copies of one template, which have one history, are told apart', async () => {
  const { config, id, old } = await fleetOf();
  const stray = await copyOf(old);
  await rowsIn(testServer(old), "insert into acc values (10, 'ours')");
  await hold(config, id, moving);
  expect(await failure(move(config, id, to(stray)))).toMatchObject({
    code: 'WRONG_DATABASE',
    message: expect.stringMatching(
      /has other data than .*: table public\.acc has 9 instead of 10$/,
    ) as string,
  });
});

test('fleet 41: a copy with its rows in another order, and columns too, is the same', async () => {
  const { config, id, old } = await fleetOf();
  await hold(config, id, moving);
  const copy = await copyOf(old);
  await rowsIn(
    copy.url,
    `begin; create table other (v text, id int primary key); insert into other select v, id from acc order by id desc;
drop table acc; alter table other rename to acc; commit`,
  );
  expect((await move(config, id, to(copy))).tenant).toMatchObject({ database: copy.name });
});

test('fleet 41: refused when not on hold, and while others are connected, unless told to end them', async () => {
  const { config, id, old } = await fleetOf();
  const copy = await copyOf(old);
  expect(await failure(move(config, id, to(copy)))).toMatchObject({
    code: 'TENANT_STATUS',
    message: expect.stringContaining('is active, not on hold') as string,
  });
  await hold(config, id, moving);
  const visitor = await connect({ url: testServer(old), applicationName: 'an app', connectTimeout: 5000 });
  expect(await failure(move(config, id, to(copy)))).toMatchObject({
    code: 'DATABASE_IN_USE',
    message: expect.stringContaining('"an app"') as string,
  });
  expect(await isOpen(old)).toBe(true);
  expect((await move(config, id, { ...to(copy), disconnect: true })).done).toBe('moved');
  await expect(visitor.query('select 1')).rejects.toThrow(/terminat|closed|lost/i);
  await visitor.close();
});

test('fleet 41: a hold waits for the transactions that began before, and names them', async () => {
  const { config, id, old } = await fleetOf();
  const app = await connect({ url: testServer(old), applicationName: 'an app', connectTimeout: 5000 });
  await app.raw("begin; insert into acc values (100, 'late')");
  const impatient = { ...config, pace: { ...config.pace, lockWait: 200 } };
  expect(await failure(hold(impatient, id, moving))).toMatchObject({
    code: 'BUSY',
    message: expect.stringMatching(
      /is on hold, but transactions .* still open in its database: pid \d+, "an app"/,
    ) as string,
  });
  let held = false;
  const holding = hold(config, id, moving).then(() => (held = true));
  await sleep(150);
  expect(held).toBe(false);
  await app.raw('commit; begin; select 1');
  await holding;
  await app.raw('rollback');
  await app.close();
});

test('fleet 41: what is prepared is open too: hold names it, move refuses it', async ({ skip }) => {
  const [setting] = await databases.query<{ most: number }>(
    "select current_setting('max_prepared_transactions')::int as most",
  );
  if (setting?.most === 0) skip('the server prepares no transactions');
  const { config, id, old } = await fleetOf();
  const copy = await copyOf(old);
  const name = `${databases.prefix}later`;
  await rowsIn(testServer(old), `begin; insert into acc values (100, 'late'); prepare transaction '${name}'`);
  const impatient = { ...config, pace: { ...config.pace, lockWait: 100 } };
  expect(await failure(hold(impatient, id, moving))).toMatchObject({
    code: 'BUSY',
    message: expect.stringContaining(
      `still open in its database: prepared transaction "${name}" of `,
    ) as string,
  });
  expect(await failure(move(config, id, { ...to(copy), disconnect: true }))).toMatchObject({
    code: 'DATABASE_IN_USE',
    hint: expect.stringContaining(`rollback prepared '${name}';`) as string,
  });
  expect(await isOpen(old)).toBe(true);
  await rowsIn(testServer(old), `rollback prepared '${name}'`);
  expect((await hold(impatient, id, moving)).done).toBe('held');
});

test('fleet 41: a database that was renamed by hand is known by its oid, of an adopted tenant too', async () => {
  const { config, url, id, old } = await fleetOf();
  const adopted = await databases.create('adopted');
  const { tenant } = await adopt(config, { name: `${databases.prefix}Adopted`, database: adopted.name });
  for (const each of [
    { id, old },
    { id: tenant.id, old: adopted.name },
  ]) {
    const renamed = databases.adopt(`${each.old}_renamed`).name;
    const stranger = await databases.create('stranger');
    await databases.query(`alter database "${each.old}" rename to "${renamed}"`);
    expect(await failure(move(config, each.id, { database: stranger.name }))).toMatchObject({
      code: 'DATABASE_MISSING',
      message: `its old database "${each.old}" is not on server "default" any more`,
    });
    expect(await move(config, each.id, { database: renamed })).toMatchObject({
      tenant: { database: renamed, server: 'default' },
      notices: [],
    });
  }
  expect(await failure(move(config, id, { withoutOld: true }))).toMatchObject({ code: 'USAGE' });
  const copy = await copyOf(databases.adopt(`${old}_renamed`).name);
  expect(await failure(move(config, id, { ...to(copy), withoutOld: true }))).toMatchObject({
    code: 'USAGE',
    hint: 'Omit --without-old to compare the two.',
  });
  expect(await placeIn(url)).toBe(`default/${old}_renamed`);
});

test('fleet 41: sessions go to the new place from the moment that the move returns', async () => {
  const { config, id, old } = await fleetOf();
  const sessions = new Sessions(config);
  const where = async () => {
    const db = await sessions.connect<{ acc: { id: number } }>(id);
    const { rows } = await sql<{ d: string }>`select current_database()::text as d`.execute(db);
    return rows[0]?.d;
  };
  expect(await where()).toBe(old);
  await hold(config, id, moving);
  const copy = await copyOf(old);
  await move(config, id, to(copy));
  await release(config, id);
  expect(await where()).toBe(copy.name);
  await sessions.close();
});

test('fleet 41: killed in between, the old one is closed; the next move opens it and goes on', async () => {
  const { config, id, old } = await fleetOf();
  await hold(config, id, moving);
  const copy = await copyOf(old);
  await databases.query(`alter database "${old}" with allow_connections false`);
  const { findings } = await doctor(config);
  expect(findings.map(({ message, remedy }) => `${message}: ${remedy}`).join('\n')).toContain(
    `accept connections: If a move was killed, move it again; otherwise: alter database "${old}" allow_connections true;`,
  );
  expect((await move(config, id, to(copy))).tenant).toMatchObject({ database: copy.name });
});

test('fleet 41: the answer to its last word lost, a move says what became of it', async () => {
  const { config, url, id, old } = await fleetOf();
  await hold(config, id, moving);
  const copy = await copyOf(old);
  const proxy = await startProxy(url);
  const through = { ...config, central: { url: proxy.through(url) } };
  await rowsIn(
    url,
    `create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.3); return new; end';
create trigger slow before update on company_databases for each row execute function slow()`,
  );
  const result = move(through, id, to(copy)).catch((error: unknown) => error as MpmError);
  for (;;) {
    const at = await rowsIn(
      url,
      `select from pg_stat_activity where query like '%update public.company_databases%' and state = 'active' and pid <> pg_backend_pid()`,
    );
    if (at.length) break;
    await sleep(5);
  }
  proxy.cutAll();
  const said = await result;
  await proxy.stop();
  for (;;) {
    const at = await rowsIn(
      url,
      `select from pg_stat_activity where datname = current_database() and state = 'active' and pid <> pg_backend_pid()`,
    );
    if (at.length === 0) break;
    await sleep(20);
  }
  // Cut before it was done, or after: never in silence, and nothing more is written to the old one.
  expect(said).toMatchObject({ aftermath: `whether tenant ${id} was moved is not known` });
  expect(await isOpen(old)).toBe(false);
  expect([`default/${old}`, `eu/${copy.name}`]).toContain(await placeIn(url));
});
