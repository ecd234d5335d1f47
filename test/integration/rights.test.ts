import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { centralUp } from '../../src/central/schema/up.ts';
import type { Config } from '../../src/config/define.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { justEnough } from '../../src/fleet/doctor/rights.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';
import { configOf } from '../helpers/central.ts';

const databases = withDatabases();
const { prefix } = databases;
const migrator = `${prefix}migrator`;

beforeAll(() =>
  databases.query(
    `create role ${migrator} login superuser createrole replication bypassrls password 'secret'`,
  ),
);
afterAll(async () => {
  const made = await databases.query<{ datname: string }>(
    `select datname from pg_database where datdba = '${migrator}'::regrole`,
  );
  for (const { datname } of made) await databases.adopt(datname).drop();
  await databases.query(`drop owned by ${migrator}; drop role ${migrator}`);
});

function as(role: string, database: string): string {
  const url = new URL(testServer(database));
  url.username = role;
  url.password = 'secret';
  return url.href;
}

test('engine 36: the main path runs as the role whose SQL doctor prints', { timeout: 120_000 }, async () => {
  const template = await makeFleet(databases, { count: 0 });
  const central = `${prefix}own`;
  databases.adopt(central);
  const { config: settings } = template;
  const config: Config = configOf(as(migrator, central), {
    root: settings.root,
    migrations: settings.migrations,
    pace: settings.pace,
  });
  config.servers['default'] = { name: 'default', url: as(migrator, 'postgres') };
  await using fleet = new Fleet(config);

  await centralUp(config);
  const before = (await fleet.doctor()).findings.filter(({ message }) => message.includes('is a superuser'));
  expect(before.map(({ about, level }) => `${about} ${level}`)).toEqual([
    'central warning',
    'server default warning',
  ]);
  await databases.query(`drop database ${central}`);
  await databases.query(before[0]!.remedy!.replace(/^.*?: /, ''));
  expect(
    await databases.query(
      `select rolsuper, rolcreaterole, rolreplication, rolbypassrls, rolcreatedb from pg_roles where rolname = '${migrator}'`,
    ),
  ).toEqual([
    { rolsuper: false, rolcreaterole: false, rolreplication: false, rolbypassrls: false, rolcreatedb: true },
  ]);

  expect(await centralUp(config)).toMatchObject({ created: true });
  const all = { all: true };
  for (const name of ['one', 'two', 'three']) databases.adopt(`${prefix}${name}`);
  const one = await fleet.provision({ name: 'One', database: `${prefix}one` });
  expect(one).toMatchObject({ source: 'template', notices: [] });
  const { id } = one.tenant;
  await fleet.fillPool({ size: 1 });
  expect(await fleet.provision({ name: 'Two', database: `${prefix}two` })).toMatchObject({ source: 'pool' });
  await template.write({
    'core/3_more.sql': '-- migrate:up\ncreate table more ();\n-- migrate:down\ndrop table more;\n',
  });
  expect((await fleet.plan(all)).counts).toMatchObject({ total: 2 });
  expect(await fleet.up(all)).toMatchObject({ failures: [], counts: { migrated: 2 } });
  expect((await fleet.status(all)).counts).toMatchObject({ current: 2 });
  expect((await fleet.down({ tenants: [id] }, { steps: 1 })).failures).toEqual([]);
  expect((await fleet.up(all)).failures).toEqual([]);
  expect(await fleet.exec(all, 'select count(*) from meters')).toMatchObject({ failures: [] });
  await fleet.hold(id, { reason: 'unpaid' });
  await fleet.release(id);
  await fleet.rename(id, 'Uno');
  const copy = await fleet.clone(id, { name: 'Three', database: `${prefix}three` });
  await fleet.drop(copy.tenant.id, { confirm: 'Three' });
  await fleet.fillPool({ size: 1 });
  await fleet.drainPool();

  const report = await fleet.doctor();
  expect(report.errors).toBe(0);
  const said = report.findings.map(({ about, message }) => `${about}: ${message}`);
  expect(said).toEqual(
    expect.arrayContaining(['central: the ledger accepts writes', 'server default: it accepts writes']),
  );
  expect(report.findings.filter(({ message }) => message.includes('more than it needs'))).toEqual([]);
  const open = report.findings.find(({ message }) => message.startsWith('every role can connect'));
  expect(open).toMatchObject({ about: 'server default', level: 'warning' });
  expect(open?.names).toEqual(expect.arrayContaining([central, `${prefix}one`, `${prefix}two`]));
  const mend = open!.remedy!.match(/revoke[^;]*;/)![0];
  await databases.query(mend);
  expect((await fleet.doctor()).findings.map(({ message }) => message).join('\n')).not.toContain(
    'everybody may',
  );
  expect((await fleet.up(all)).failures).toEqual([]);
});

test('engine 36: the docs and doctor agree on the role with just enough', async () => {
  const docs = await readFile(join(import.meta.dirname, '../../docs/security.md'), 'utf8');
  const [, made = ''] = /^```sql\n(create role .*)\n```$/m.exec(docs) ?? [];
  await databases.query(made.replace('migrator', `${prefix}docs`));
  try {
    const rights = { user: 'migrator', attributes: ['superuser'], groups: [], policies: false };
    const of = (bootstrap: boolean) =>
      justEnough({ ...rights, bootstrap, readOnly: [] }).replace(/^.*? (createdb )/, '$1');
    expect([of(true), of(false)]).toEqual(Array(2).fill(made.replace(/^.*? (createdb )/, '$1')));
  } finally {
    await databases.query(`drop role ${prefix}docs`);
  }
});

test('engine 50: doctor writes for real and leaves nothing; read-only settings and policies are named', async () => {
  const fleet = await makeFleet(databases, { count: 7 });
  const reader = `${prefix}reader`;
  const owner = fleet.config.central.url;
  const database = new URL(owner).pathname.slice(1);
  await databases.query(`create role ${reader} login password 'secret'`);
  try {
    await fleet.central(
      `grant usage on schema mpm_migrate to ${reader}; grant select on all tables in schema mpm_migrate, public to ${reader}`,
    );
    await databases.query(
      `alter database ${fleet.tenants[0]!.database} set default_transaction_read_only = on`,
    );
    await fleet.central('revoke execute on function lo_create(oid) from public');
    const config: Config = {
      ...fleet.config,
      central: { url: as(reader, database) },
      servers: { default: { name: 'default', url: as(reader, database) } },
    };
    await using own = new Fleet(config);
    const { findings } = await own.doctor();
    expect(findings).toContainEqual(
      expect.objectContaining({
        about: 'central',
        level: 'error',
        message: expect.stringContaining("the ledger doesn't accept writes"),
      }),
    );
    expect(findings).toContainEqual(
      expect.objectContaining({
        level: 'warning',
        message: expect.stringContaining(`set by the database "${fleet.tenants[0]!.database}"`),
        remedy: `alter database ${fleet.tenants[0]!.database} reset default_transaction_read_only;`,
      }),
    );
    expect(findings).toContainEqual(
      expect.objectContaining({
        about: 'server default',
        level: 'warning',
        message: expect.stringContaining('could not be tried'),
      }),
    );
    const everybody = findings.find(({ message }) =>
      message.startsWith('every role can connect to 8 databases'),
    );
    expect(everybody?.message).toContain(' and 3 more');
    expect(everybody?.names).toHaveLength(8);
    expect(await fleet.central('select from mpm_migrate.runs')).toEqual([]);
    await fleet.central(
      'alter table companies enable row level security; create policy p on companies using (id < 3)',
    );
    expect((await own.doctor()).findings).toContainEqual(
      expect.objectContaining({ level: 'error', message: expect.stringContaining('it shows only 2') }),
    );
  } finally {
    await databases.query(`drop owned by ${reader}`, database);
    await databases.query(`drop role ${reader}`);
  }
});

test('engine 50: doctor names databases of tenants that set a role or a path, with the SQL that takes it back', async () => {
  const fleet = await makeFleet(databases, { count: 3 });
  const eve = `${prefix}eve`;
  await using own = new Fleet(fleet.config);
  const said = async () =>
    (await own.doctor()).findings.filter(({ message }) => /^(?:role|search_path) is set/.test(message));
  expect(await said()).toEqual([]);
  const [one, two, three] = fleet.tenants.map(({ database }) => database);
  const { user } = (await databases.query<{ user: string }>('select session_user::text as user'))[0]!;
  await databases.query(`create role ${eve}`);
  try {
    // One that belongs to no tenant is nobody's concern.
    for (const database of [one, two, new URL(fleet.config.central.url).pathname.slice(1)])
      await databases.query(`alter database ${database} set search_path = evil, pg_catalog`);
    await databases.query(`alter database ${two} set role = ${eve}`);
    await databases.query(`alter role ${user} in database ${three} set role = ${eve}`);
    await databases.query(`alter role ${eve} in database ${three} set search_path = evil`);
    const findings = await said();
    expect(findings).toEqual([
      {
        about: 'server default',
        level: 'warning',
        message: `search_path is set to evil, pg_catalog for whoever connects in "${one}", "${two}": migrations resolve names without a schema there`,
        remedy: `Unless this is intended: alter database "${one}" reset search_path; The same for the others.`,
        names: [one, two],
      },
      expect.objectContaining({
        message: `role is set to ${eve} for whoever connects in "${two}": our own statements ignore it, but application sessions use that role`,
      }),
      expect.objectContaining({
        message: `role is set to ${eve} for "${user}" in "${three}": work there is done as that role`,
      }),
    ]);
    for (const { remedy } of findings) await databases.query(/alter [^;]*;/.exec(remedy!)![0]);
    expect((await said()).map(({ names }) => names)).toEqual([[two]]);
  } finally {
    await databases.query(`alter role ${user} in database ${three} reset all; drop role ${eve}`);
  }
});
