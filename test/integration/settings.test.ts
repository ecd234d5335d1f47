import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readProvisioning } from '../../src/central/list/provisioning.ts';
import { openCentral } from '../../src/central/central.ts';
import type { Config } from '../../src/config/define.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { connect } from '../../src/postgres/connect.ts';
import { forgetRoles } from '../../src/postgres/roles.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();
const odd = `${databases.prefix}odd`;
const owner = `${databases.prefix}owner`;
const group = `${databases.prefix}group`;

beforeAll(async () => {
  await databases.query(`create role ${odd} login superuser password 'secret'`);
  for (const setting of [
    "default_transaction_read_only = 'on'",
    "default_transaction_isolation = 'serializable'",
    "idle_session_timeout = '400ms'",
    "datestyle = 'German'",
    "intervalstyle = 'sql_standard'",
    "bytea_output = 'escape'",
    "extra_float_digits = '-5'",
    "standard_conforming_strings = 'off'",
    "timezone = 'Asia/Tokyo'",
    "search_path = 'public', 'nowhere'",
  ]) {
    await databases.query(`alter role ${odd} set ${setting}`);
  }
  await databases.query(`create role ${owner} login createdb password 'secret'; create role ${group}`);
});
afterAll(async () => {
  // Reassigning what a role owns in one database takes all its databases along.
  const templates = await databases.query<{ datname: string }>(
    `select datname from pg_database where datdba = '${odd}'::regrole and not starts_with(datname, '${databases.prefix}')`,
  );
  for (const { datname } of templates) await databases.query(`drop database ${datname} with (force)`);
  const made = await databases.query<{ datname: string }>(
    `select datname from pg_database where starts_with(datname, '${databases.prefix}')`,
  );
  for (const { datname } of made) {
    await databases.query(
      `alter database ${datname} owner to postgres; alter database ${datname} with allow_connections true`,
    );
    await databases.query(
      `reassign owned by ${odd}, ${owner} to postgres; drop owned by ${odd}, ${owner}`,
      datname,
    );
  }
  await databases.query(`drop owned by ${odd}, ${owner}; drop role ${odd}, ${owner}, ${group}`);
});

function as(role: string, url: string): string {
  const own = new URL(url);
  own.username = role;
  own.password = 'secret';
  return own.href;
}

function configAs(role: string, { config }: TestFleet): Config {
  const servers = { default: { name: 'default', url: as(role, testServer('postgres')) } };
  return { ...config, servers, central: { url: as(role, config.central.url) } };
}

const READS = `import { sql } from 'kysely';
import { setTimeout as sleep } from 'node:timers/promises';
const read = async (db, label) => {
  const { rows: [row] } = await sql\`select date '2026-11-02' as day, timestamptz '2026-11-02 03:04:05Z' as at, interval '26 hours' as span,
    '\\\\x00ff'::bytea as bytes, 0.1::float8 + 0.2::float8 as sum, current_setting('transaction_read_only') as ro\`.execute(db);
  const seen = [row.at.toISOString(), row.span.hours, row.bytes.toString('hex'), row.sum, row.day.getFullYear(), row.ro].join(' ');
  await sql\`insert into public.seen values (\${label}, \${seen})\`.execute(db);
};`;
const SEEN = '2026-11-02T03:04:05.000Z 26 00ff 0.30000000000000004 2026 off';

describe('engine 49: what a role sets decides nothing', () => {
  test('up in and outside a transaction, with pauses; what is read in TypeScript is right', async () => {
    const fleet = await makeFleet(databases, {
      count: 1,
      files: {
        'core/1_seen.sql': 'create table public.seen (label text, seen text);',
        'core/2_inside.mjs': `${READS}\nexport async function up(db) { await sleep(900); await read(db, 'inside'); }`,
        'core/3_outside.mjs': `${READS}\nexport const config = { transaction: false };
export async function up(db) { await read(db, 'outside'); await sleep(900); await sql\`insert into public.seen values ('paused', '')\`.execute(db); }`,
        'core/4_index.sql':
          '-- migrate:up transaction:false\ncreate index concurrently i on public.seen (label);\n',
        'core/5_strings.sql': String.raw`insert into public.seen values ('strings', 'a\b');`,
      },
    });
    await using own = new Fleet(configAs(odd, fleet));
    const report = await own.up({ all: true });
    expect(report.failures).toEqual([]);
    expect(await fleet.of(fleet.tenants[0], 'select label, seen from seen order by label')).toEqual([
      { label: 'inside', seen: SEEN },
      { label: 'outside', seen: SEEN },
      { label: 'paused', seen: '' },
      { label: 'strings', seen: String.raw`a\b` },
    ]);
    expect((await own.status({ all: true }, { deep: true })).counts).toMatchObject({ current: 1 });
    const read = await own.exec(
      { all: true },
      String.raw`select date '2026-11-02' as day, '\x00ff'::bytea as bytes, current_setting('timezone') as zone, current_setting('search_path') as path`,
    );
    expect(read.rows?.[0]?.tables[0]?.rows).toEqual([
      ['2026-11-02', String.raw`\x00ff`, 'Asia/Tokyo', 'public, nowhere'],
    ]);
    const wrote = await own.exec({ all: true }, "update public.seen set seen = 'x'", { write: true });
    expect(wrote.counts).toMatchObject({ executed: 1 });
  });

  test('a tenant is made, copied, made again, and dropped; the pool is filled', async () => {
    const fleet = await makeFleet(databases, { count: 0 });
    const config = configAs(odd, fleet);
    await using own = new Fleet(config);
    const made = await own.provision({ name: 'odd one', database: `${databases.prefix}odd_one` });
    databases.adopt(made.tenant.database);
    const copy = await own.clone(made.tenant.id, { name: 'odd two', database: `${databases.prefix}odd_two` });
    databases.adopt(copy.tenant.database);
    await own.fresh(made.tenant.id, { confirm: made.tenant.database });
    expect(await own.fillPool({ size: 1 })).toMatchObject({ made: 1 });
    expect(await own.drainPool()).toMatchObject({ dropped: 1 });
    await own.drop(copy.tenant.id, { confirm: 'odd two' });
    const central = await openCentral(config);
    expect(await readProvisioning(central, copy.tenant.id)).toBeUndefined();
    await central.connection.close();
  });

  test('the session is given back to what is not ours', async () => {
    const { url } = await databases.create();
    const connection = await connect({
      url: as(odd, url),
      applicationName: 'test-helper',
      connectTimeout: 5000,
    });
    const settings = `select current_setting('search_path') as path, current_setting('datestyle') as style,
      current_setting('idle_session_timeout') as idle, current_setting('row_security') as policies`;
    const [ours] = await connection.query(settings);
    expect(ours).toEqual({ path: 'pg_catalog, pg_temp', style: 'ISO, DMY', idle: '0', policies: 'off' });
    const { rows } = await connection.raw(settings);
    expect(rows).toEqual([{ path: 'public, nowhere', style: 'German, DMY', idle: '0', policies: 'on' }]);
    await connection.close();
  });
});

describe('engine 34: whose rights the statements have', () => {
  test("the login's role is taken, the database's is not", async () => {
    const { url, name } = await databases.create();
    await databases.query(`alter database ${name} set role = ${group}`);
    const who = async (user: string) => {
      const target = { url: as(user, url), applicationName: 'test-helper', connectTimeout: 5000 };
      const connection = await connect(target);
      const [row] = await connection.query<{ who: string }>('select current_user::text as who');
      const { rows } = await connection.raw('select current_user::text as who');
      await connection.close();
      return [row?.who, rows[0]?.['who']];
    };
    expect(await who(odd)).toEqual([odd, group]);
    await databases.query(`alter role ${odd} set role = ${owner}; alter database ${name} reset role`);
    forgetRoles();
    expect(await who(odd)).toEqual([owner, owner]);
    await databases.query(`alter role ${odd} reset role`);
  });
});

describe('engine 49: a policy makes an error, never a shorter list', () => {
  async function restricted(more: Partial<Config> = {}): Promise<Fleet> {
    const fleet = await makeFleet(databases, { count: 2 });
    const name = new URL(fleet.config.central.url).pathname.slice(1);
    await databases.query(`alter database ${name} owner to ${owner}`);
    await fleet.central(`grant usage on schema mpm_migrate to ${owner}; grant all on all tables in schema mpm_migrate to ${owner};
grant all on all tables in schema public to ${owner}; alter table companies owner to ${owner};
alter table companies enable row level security; alter table companies force row level security;
create policy p on companies using (id = 1)`);
    return new Fleet({ ...configAs(owner, fleet), ...more });
  }

  test.each([
    ['the built-in tables', {}],
    [
      'tenants.query',
      {
        tenants: {
          query:
            'select c.id, c.name, d.database_name as database from companies c join company_databases d on d.company_id = c.id',
        },
      },
    ],
  ])('%s', async (_, more) => {
    await using own = await restricted(more as Partial<Config>);
    const refusal = {
      code: 'ROW_SECURITY',
      message: expect.stringContaining('"companies"'),
      hint: expect.stringContaining(`alter role "${owner}" bypassrls;`),
    };
    await expect(own.up({ all: true })).rejects.toMatchObject(refusal);
    await expect(own.status({ all: true })).rejects.toMatchObject(refusal);
    expect(
      (await own.doctor()).findings.some(
        ({ level, message }) => level === 'error' && message.includes('policy'),
      ),
    ).toBe(true);
    await databases.query(`alter role ${owner} bypassrls`);
    expect((await own.plan({ all: true })).counts).toMatchObject({ total: 2 });
    await databases.query(`alter role ${owner} nobypassrls`);
  });
});
