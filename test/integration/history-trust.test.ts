import { afterAll, beforeAll, expect, test } from 'vitest';
import { Fleet } from '../../src/fleet/fleet.ts';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { plan } from '../../src/fleet/verbs/plan.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { createHistory } from '../../src/engine/history/history.ts';
import { adopt } from '../../src/tenants/adopt.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { down, historyOf, migrations, rowsIn, up as upOne, withFolders } from '../helpers/engine.ts';
import { makeFleet, type TestFleet, type TestTenant } from '../helpers/fleet.ts';
import { OPTIONS } from '../helpers/options.ts';

const databases = withDatabases();
withFolders();

const eve = `${databases.prefix}eve`;
const migrator = `${databases.prefix}migrator`;
const other = `${databases.prefix}other`;
const group = `${databases.prefix}group`;
const ROLES = [eve, migrator, other, group];
const HISTORY = 'mpm_migrate.history';

beforeAll(async () => {
  for (const role of ROLES) await databases.query(`create role ${role} login password 'secret'`);
  await databases.query(`grant ${group} to ${migrator}, ${other}`);
});
afterAll(async () => {
  // Their databases go first, which the helper drops after this.
  const own = await databases.query<{ datname: string }>(
    `select datname from pg_database where starts_with(datname, '${databases.prefix}')`,
  );
  for (const { datname } of own) {
    await databases.query(`alter database ${datname} owner to postgres; alter database ${datname} reset all`);
    await databases.query(`drop owned by ${ROLES.join(', ')} cascade`, datname);
  }
  for (const role of ROLES) await databases.query(`drop owned by ${role}`);
  for (const role of ROLES) await databases.query(`drop role ${role}`);
});

/** The same server's URL for another login. */
function as(role: string, url = testServer()): string {
  const own = new URL(url);
  own.username = role;
  own.password = 'secret';
  return own.href;
}

function fleetAs(fleet: TestFleet, role: string, owners: string[] = []): TestFleet['config'] {
  const { config } = fleet;
  const servers = { default: { name: 'default', url: as(role, config.servers['default']?.url) } };
  return {
    ...config,
    servers,
    central: { url: as(role, config.central.url) },
    history: { ...config.history, owners },
  };
}

/** Eve's own history, before anybody else's, with code of hers in it. */
async function squat(database: string, with_: 'policy' | 'trigger'): Promise<void> {
  await databases.query(`alter database ${database} owner to ${eve}`);
  await databases.query(
    `set role ${eve};
create schema mpm_migrate;
create table public.called (by name);
grant all on public.called to public;
create function public.canary() returns trigger language plpgsql as
  $$ begin insert into public.called values (current_user); return new; end $$;
create function public.peek(text) returns boolean language plpgsql as
  $$ begin insert into public.called values (current_user); return true; end $$;
${createHistory({ schema: 'mpm_migrate', table: 'history' })};
insert into mpm_migrate.history (position, name, version, checksum, state, started_at, tool_version, database_user, source, format)
  values (1, '1_meters', '1', 'v2:0', 'applied', now(), '0.1.0', 'eve', 'core', 2);
grant all on schema mpm_migrate to public; grant all on mpm_migrate.history to public;
${
  with_ === 'trigger'
    ? 'create trigger canary before insert or update or delete on mpm_migrate.history for each row execute function public.canary()'
    : 'alter table mpm_migrate.history enable row level security, force row level security; create policy canary on mpm_migrate.history using (public.peek(name))'
}`,
    database,
  );
}

async function callsIn(database: string): Promise<unknown[]> {
  return databases.query('select by from public.called', database);
}

test.each(['policy', 'trigger'] as const)(
  'engine 34: a history that the owner of the database has made, with a %s, is neither read nor written',
  async (kind) => {
    const fleet = await makeFleet(databases, { count: 2 });
    const [one, two] = fleet.tenants as [TestTenant, TestTenant];
    await squat(one.database, kind);
    await databases.query(`alter database ${one.database} set role = ${eve}`);
    const { name: spare } = await databases.create('spare');
    await squat(spare, kind);

    const { config } = fleet;
    const ran = await up(config, { all: true });
    expect(ran.counts).toMatchObject({ migrated: 1, refused: 1 });
    const [failure] = ran.failures;
    expect(failure?.error).toMatchObject({ code: 'HISTORY_UNTRUSTED' });
    expect(failure?.error.message).toContain(`belongs to "${eve}"`);
    expect(failure?.error.hint).toContain('alter schema mpm_migrate owner to postgres;');
    expect(await fleet.historyOf(two)).toEqual(['1_meters', '2_note']);

    const looked = await status(config, { tenants: ['1'] });
    expect(looked.tenants?.[0]).toMatchObject({ state: 'drifted', error: { code: 'HISTORY_UNTRUSTED' } });
    expect((await plan(config, { all: true })).groups.map(({ outcome }) => outcome)).toContain('refused');
    const based = await baseline(config, { tenants: ['1'] }, { to: '1_meters', write: true });
    expect(based.tenants?.[0]).toMatchObject({ outcome: 'failed', error: { code: 'HISTORY_UNTRUSTED' } });
    await expect(adopt(config, { name: 'Spare', database: spare })).rejects.toMatchObject({
      code: 'HISTORY_UNTRUSTED',
    });
    const library = new Fleet(config);
    try {
      await expect(library.connect(1, { atLeast: '1' })).rejects.toMatchObject({ code: 'HISTORY_UNTRUSTED' });
      await library.connect(2, { atLeast: '2' });
    } finally {
      await library.close();
    }
    expect(await callsIn(one.database)).toEqual([]);
    expect(await callsIn(spare)).toEqual([]);
  },
);

test.each([
  ['a table with other columns', 'create table mpm_migrate.history (name text, position int)'],
  ['a view', 'create view mpm_migrate.history as select 1 as position'],
  ['a partitioned table', 'create table mpm_migrate.history (position int) partition by list (position)'],
])('engine 34: %s in place of the history is refused in words, whosever it is', async (_, made) => {
  const fleet = await makeFleet(databases, { count: 2 });
  const [one, two] = fleet.tenants as [TestTenant, TestTenant];
  const { name: spare } = await databases.create('spare');
  await databases.query(`alter database ${one.database} owner to ${eve}`);
  await databases.query(`alter database ${spare} owner to ${eve}`);
  await databases.query(`set role ${eve}; create schema mpm_migrate; ${made}`, spare);
  await fleet.of(one, `set role ${eve}; create schema mpm_migrate; ${made}`);
  await fleet.of(two, `create schema mpm_migrate; ${made}`);
  const { config } = fleet;
  const said = async (id: string) => {
    const [ran, looked] = [await up(config, { tenants: [id] }), await status(config, { tenants: [id] })];
    return [ran.tenants?.[0]?.error, looked.tenants?.[0]?.error];
  };
  for (const error of await said('1')) {
    expect(error).toMatchObject({ code: 'HISTORY_UNTRUSTED' });
    expect(error?.message).toContain(`belongs to "${eve}"`);
  }
  for (const error of await said('2')) {
    expect(error).toMatchObject({ code: 'HISTORY_UNTRUSTED' });
    expect(error?.hint).toMatch(/drop (?:view|table) \S+;/);
  }
  await expect(adopt(config, { name: 'Evil', database: spare })).rejects.toMatchObject({
    code: 'HISTORY_UNTRUSTED',
  });
});

const FLAWS: Record<string, string> = {
  'a policy': `create policy hide on ${HISTORY} using (false)`,
  'row security': `alter table ${HISTORY} enable row level security, force row level security`,
  'a trigger': `create function f() returns trigger language plpgsql as 'begin return new; end'; create trigger t before insert on ${HISTORY} for each row execute function f()`,
  'a rule': `create rule r as on insert to ${HISTORY} do also select 1`,
  'a child': `create table public.child () inherits (${HISTORY})`,
  'a parent': `create table public.parent (); alter table ${HISTORY} inherit public.parent`,
  'a default with code': `create function f() returns text language sql as 'select ''x'''; alter table ${HISTORY} add more text default f()`,
  'a generated column with code': `create function f(text) returns text immutable language sql as 'select ''x'''; alter table ${HISTORY} add more text generated always as (f(name)) stored`,
  'a domain': `create domain d as text; alter table ${HISTORY} add more d`,
  'a check with code': `create function f(text) returns boolean immutable language sql as 'select true'; alter table ${HISTORY} add constraint k check (f(name))`,
  'an index with code': `create function f(text) returns text immutable language sql as 'select ''x'''; create index i on ${HISTORY} (f(name))`,
  'a foreign key': `create table public.names (name text collate "C" primary key); insert into public.names select name from ${HISTORY}; alter table ${HISTORY} add constraint k foreign key (name) references public.names`,
  'a foreign key to it': `create table public.notes (position bigint references ${HISTORY})`,
  'rights of others': `grant insert, select on ${HISTORY} to public`,
  'rights on a column': `grant update (checksum) on ${HISTORY} to ${eve}`,
  'rights in the schema': `grant create on schema mpm_migrate to ${eve}`,
  'another owner': `alter table ${HISTORY} owner to ${eve}`,
  'another owner of the schema': `alter schema mpm_migrate owner to ${eve}`,
  'an unlogged table': `alter table ${HISTORY} set unlogged`,
};

test('engine 34: what is attached to the history is refused before the first write, and the printed SQL mends it', async () => {
  const { url, name: database } = await databases.create('flawed');
  const files: Record<string, string> = { '0_a.sql': 'create table a ();' };
  await upOne(url, await migrations(files));
  for (const [at, [flaw, sql]] of Object.entries(FLAWS).entries()) {
    const before = await historyOf(url);
    files[`${at + 1}_x.sql`] = '-- migrate:up\nselect 1;\n-- migrate:down\nselect 1;';
    const set = await migrations(files);
    await databases.query(sql.replaceAll(/\bf\(/g, `f${at}(`), database);
    const refused = await upOne(url, set);
    const { outcome, error } = refused;
    expect({ flaw, outcome, code: error?.code }).toEqual({
      flaw,
      outcome: 'refused',
      code: 'HISTORY_UNTRUSTED',
    });
    expect(await historyOf(url)).toEqual(before);
    if (at > 0) expect((await down(url, set)).error?.code).toBe('HISTORY_UNTRUSTED');
    const mend = error?.hint?.split('\n').slice(1).join('\n') ?? '';
    await databases.query(mend, database);
    expect({ flaw, mend, ...(await upOne(url, set)) }).toMatchObject({ flaw, outcome: 'migrated' });
  }
});

test('engine 34: what only looks is not kept away by what is only dangerous to write to; readers are welcome', async () => {
  const set = await migrations({ '1_a.sql': 'create table a ();' });
  const { url, name } = await databases.create('read');
  await upOne(url, set);
  await databases.query(
    `grant usage on schema mpm_migrate to public; grant select on ${HISTORY} to public;
create view public.report as select name, upper(name) from ${HISTORY}`,
    name,
  );
  expect(
    await upOne(url, await migrations({ '1_a.sql': 'create table a ();', '2_b.sql': 'create table b ();' })),
  ).toMatchObject({
    outcome: 'migrated',
  });
});

test('engine 34: outside a transaction, and in what is edited by hand, the history and its journal are looked at too', async () => {
  const fleet = await makeFleet(databases, {
    count: 1,
    files: { 'core/1_a.sql': 'create table a (i int);' },
  });
  const [tenant] = fleet.tenants as [TestTenant];
  await up(fleet.config, { all: true });
  await fleet.write({
    'core/2_b.sql': '-- migrate:up transaction:false\ncreate index concurrently i on a (i);',
  });
  await fleet.of(tenant, `create policy p on ${HISTORY} using (true)`);
  expect((await up(fleet.config, { all: true })).counts).toMatchObject({ refused: 1 });
  await fleet.of(tenant, `drop policy p on ${HISTORY}`);
  // What a role with rights in the schema could have put there before anything was edited.
  await fleet.of(
    tenant,
    `create table ${HISTORY}_journal (id int, at text, action text, name text, why text, before jsonb, database_user text, actor text, run_id text);
alter table ${HISTORY}_journal owner to ${eve}`,
  );
  const edited = await baseline(fleet.config, { tenants: ['1'] }, { to: '2_b', write: true });
  expect(edited.tenants?.[0]).toMatchObject({ outcome: 'failed', error: { code: 'HISTORY_UNTRUSTED' } });
  expect(edited.tenants?.[0]?.error?.message).toContain('history_journal');
  expect(await fleet.of(tenant, `select from ${HISTORY}_journal`)).toEqual([]);
});

test('engine 34: a schema that a stranger has made gets no history of ours', async () => {
  const set = await migrations({ '1_a.sql': 'create table a ();' });
  const { url, name } = await databases.create('schema');
  await databases.query(`create schema mpm_migrate authorization ${eve}`, name);
  expect(await upOne(url, set)).toMatchObject({ outcome: 'refused', error: { code: 'HISTORY_UNTRUSTED' } });
  expect(await rowsIn(url, "select from pg_class where relname in ('history', 'a')")).toEqual([]);
});

test('engine 34: who made it may be the role that is set on the login, one of history.owners, or the owner of the ledger', async () => {
  const fleet = await makeFleet(databases, { count: 1 });
  const [tenant] = fleet.tenants as [TestTenant];
  const all = `grant all on all tables in schema public, mpm_migrate to ${migrator}, ${other}; grant usage on schema mpm_migrate to ${migrator}, ${other}`;
  await fleet.central(all);
  await databases.query(`alter database ${tenant.database} owner to ${group}`);
  await fleet.of(
    tenant,
    'revoke create on schema public from public; grant create on schema public to public',
  );

  // Two logins that act as one group.
  for (const role of [migrator, other]) await databases.query(`alter role ${role} set role = ${group}`);
  await fleet.central(all.replaceAll(migrator, group).replaceAll(`, ${other}`, ''));
  expect((await up(fleetAs(fleet, migrator), { all: true }, { to: '1' })).counts).toMatchObject({
    migrated: 1,
  });
  expect((await up(fleetAs(fleet, other), { all: true })).counts).toMatchObject({ migrated: 1 });
  const [{ owner }] = (await fleet.of(
    tenant,
    `select tableowner as owner from pg_tables where tablename = 'history'`,
  )) as [{ owner: string }];
  expect(owner).toBe(group);
  for (const role of [migrator, other]) await databases.query(`alter role ${role} reset role`);

  // Without the setting, the group is somebody else, unless the configuration names it.
  const foreign = await status(fleetAs(fleet, migrator), { all: true }, { deep: true });
  expect(foreign.tenants?.[0]).toMatchObject({ error: { code: 'HISTORY_UNTRUSTED' } });
  const named = await status(fleetAs(fleet, migrator, [group]), { all: true }, { deep: true });
  expect(named.tenants?.[0]).toMatchObject({ state: 'current' });

  // Who owns the ledger has made the histories.
  await fleet.central(`alter schema mpm_migrate owner to ${group}`);
  for (const { tablename } of await fleet.central<{ tablename: string }>(
    "select tablename from pg_tables where schemaname = 'mpm_migrate'",
  )) {
    await fleet.central(`alter table mpm_migrate.${tablename} owner to ${group}`);
  }
  await fleet.central(`alter function mpm_migrate.forget_run_tenants owner to ${group}`);
  expect((await status(fleetAs(fleet, migrator), { all: true }, { deep: true })).tenants?.[0]).toMatchObject({
    state: 'current',
  });
});

test('engine 34: what is created is given to the first of history.owners', async () => {
  const set = await migrations({ '1_a.sql': 'create table a ();' });
  const { url, name } = await databases.create('given');
  await databases.query(
    `alter database ${name} owner to ${group}; grant create on schema public to public`,
    name,
  );
  const history = { ...OPTIONS.history, owners: [group] };
  expect(await upOne(as(migrator, url), set, { history })).toMatchObject({ outcome: 'migrated' });
  const owners = await databases.query<{ owner: string }>(
    `select distinct pg_get_userbyid(nspowner) as owner from pg_namespace where nspname = 'mpm_migrate'
union select pg_get_userbyid(relowner) from pg_class where relnamespace = 'mpm_migrate'::regnamespace and relkind = 'r'`,
    name,
  );
  expect(owners).toEqual([{ owner: group }]);
  const more = await migrations({ '1_a.sql': 'create table a ();', '2_b.sql': 'create table b ();' });
  expect(await upOne(as(other, url), more, { history })).toMatchObject({ outcome: 'migrated' });
});

test('engine 34: a ledger with code of a stranger stops the command before it is used', async () => {
  const fleet = await makeFleet(databases, { count: 1 });
  await fleet.central(
    `create function public.f() returns trigger language plpgsql as 'begin return new; end';
create trigger t before insert on mpm_migrate.runs for each row execute function public.f()`,
  );
  await expect(up(fleet.config, { all: true })).rejects.toMatchObject({
    code: 'CENTRAL_INVALID',
    message: expect.stringContaining('runs') as string,
  });
});

test('engine 34, 38: behind a head stamp that fits, what the plan foresees is compared under the lock', async () => {
  const fleet = await makeFleet(databases, { count: 5 });
  const { config } = fleet;
  await up(config, { all: true });
  const [triggered, read, lying, older, plain] = fleet.tenants as TestTenant[];
  if (!triggered || !read || !lying || !older || !plain) throw new Error('five tenants');
  await fleet.of(
    triggered,
    `create function f() returns trigger language plpgsql as 'begin return new; end';
create trigger t before insert on ${HISTORY} for each row execute function f()`,
  );
  await fleet.of(read, `grant usage on schema mpm_migrate to ${eve}; grant select on ${HISTORY} to ${eve}`);
  // Its stamp says what it said before.
  await fleet.of(lying, `delete from ${HISTORY} where name = '2_note'`);
  await fleet.of(older, `alter table ${HISTORY} drop column format`);
  await fleet.write({ 'core/3_more.sql': 'create table more ();' });

  const report = await up(config, { all: true });
  expect(report.failures.map(({ tenants, error }) => [tenants[0]?.id, error.code]).sort()).toEqual([
    [triggered.id, 'HISTORY_UNTRUSTED'],
    [lying.id, 'HISTORY_LOST'],
  ]);
  for (const tenant of [read, older, plain]) {
    expect(await fleet.historyOf(tenant)).toEqual(['1_meters', '2_note', '3_more']);
  }
  expect(await fleet.historyOf(triggered)).toEqual(['1_meters', '2_note']);
});
