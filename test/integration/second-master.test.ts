import { afterAll, expect, test } from 'vitest';
import { doctor } from '../../src/fleet/doctor/doctor.ts';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { clone } from '../../src/tenants/clone.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();
const reader = `${databases.prefix}reader`;
afterAll(() => databases.query(`drop role if exists ${reader}`));

const files = {
  'core/1_meters.sql': 'create table meters (id int primary key);',
  'core/2_note.sql': 'alter table meters add note text;',
  'core/3_later.sql': 'alter table meters add later text;',
};
const KNEX = `create table meters (id int primary key);
create table knex_migrations (id serial primary key, name varchar(255), batch int, migration_time timestamptz);
insert into knex_migrations (name, batch) values ('1_meters.js', 1);`;

test('histories 11: status, doctor, and up say that another tool goes on, and baseline takes it in again', async () => {
  const fleet = await makeFleet(databases, { count: 3, files });
  const [one, two, three] = fleet.tenants;
  for (const tenant of [one, two]) await fleet.of(tenant, KNEX);
  const from = { from: 'knex', write: true } as const;
  expect((await baseline(fleet.config, { tenants: ['1', '2'] }, from)).counts.changed).toBe(2);
  expect((await up(fleet.config, { all: true, exclude: ['1'] })).notices).toEqual([]);
  expect(await status(fleet.config, { all: true })).toMatchObject({ stamped: 1, notices: [] });

  await fleet.of(
    one,
    "alter table meters add note text; insert into knex_migrations (name, batch) values ('2_note.js', 2)",
  );
  const found = { tool: 'knex', applied: 1, count: 1, tenants: [{ id: '1' }] };
  const remedy = 'mpm-migrate baseline --tenant 1 --from knex --write';
  const said = await status(fleet.config, { all: true });
  expect(said.grown).toMatchObject([{ ...found, remedy }]);
  expect(said.notices[0]).toMatch(
    /^knex has applied 1 at company-1 since \d{4}-\d\d-\d\d: .*--from knex --write$/,
  );
  const judged = (await doctor(fleet.config)).findings.filter(({ message }) => message.includes('knex'));
  expect(judged).toMatchObject([{ about: 'tenants', level: 'warning', remedy }]);

  // Who may only read is told as well; who may not read that table is told the rest.
  const url = (database: string) => {
    const own = new URL(testServer(database));
    own.username = reader;
    own.password = 'x';
    return own.href;
  };
  const central = new URL(fleet.config.central.url).pathname.slice(1);
  await databases.query(`create role ${reader} login password 'x'`);
  const rights = (schema: string) =>
    `grant usage on schema ${schema} to ${reader}; grant select on all tables in schema ${schema} to ${reader}`;
  for (const database of [central, ...fleet.tenants.map((tenant) => tenant.database)])
    await databases.query(`${rights('public')}; ${rights('mpm_migrate')}`, database);
  const config = {
    ...fleet.config,
    central: { url: url(central) },
    servers: { default: { name: 'default', url: url('postgres') } },
  };
  expect((await status(config, { all: true })).grown).toMatchObject([found]);
  await fleet.of(one, `revoke select on knex_migrations from ${reader}`);
  const blind = await status(config, { all: true });
  expect(blind).toMatchObject({ notices: [], counts: { unreachable: 0, total: 3 } });
  expect(blind.grown).toBeUndefined();
  for (const database of [central, ...fleet.tenants.map((tenant) => tenant.database)])
    await databases.query(`drop owned by ${reader}`, database);

  const failing = await up(fleet.config, { all: true });
  expect(failing).toMatchObject({ counts: { failed: 1 }, grown: [found] });
  expect((await baseline(fleet.config, { tenants: ['1'] }, from)).counts.changed).toBe(1);
  expect(await up(fleet.config, { all: true })).toMatchObject({
    counts: { migrated: 1, current: 2 },
    notices: [],
  });

  // Nobody's table, or another's in its place, is no trouble.
  await fleet.of(
    one,
    'alter table knex_migrations rename to gone; create view knex_migrations as select 1 / 0 as id, name from gone',
  );
  const copy = await clone(fleet.config, '2', { name: 'copy', database: `${databases.prefix}copy` });
  databases.adopt(copy.tenant.database);
  const known = await fleet.central('select tenant_id from mpm_migrate.tool_histories order by 1');
  expect(known).toEqual([{ tenant_id: '1' }, { tenant_id: '2' }, { tenant_id: copy.tenant.id }]);
  await fleet.of(two, 'drop table knex_migrations');
  expect(await up(fleet.config, { all: true })).toMatchObject({ counts: { current: 4 }, notices: [] });
  expect(await fleet.historyOf(three)).toHaveLength(3);
});

test('histories 11: it costs no connection and no round trip where the history is read anyway', async () => {
  const fleet = await makeFleet(databases, { count: 1, files });
  await fleet.of(fleet.tenants[0], KNEX);
  await baseline(fleet.config, { all: true }, { from: 'knex', write: true });
  await up(fleet.config, { all: true });
  const { url } = fleet.config.servers['default'] ?? { url: '' };
  await using proxy = await startProxy(url);
  const config = { ...fleet.config, servers: { default: { name: 'default', url: proxy.through(url) } } };
  const costOf = async () => {
    const before = { ...proxy.counts };
    await up(config, { all: true });
    return [proxy.counts.connections - before.connections, proxy.counts.roundTrips - before.roundTrips];
  };
  const watched = await costOf();
  await fleet.central('delete from mpm_migrate.tool_histories');
  expect(await costOf()).toEqual(watched);
});
