import { expect, test } from 'vitest';
import { type AdoptTenantsInput, adoptTenants } from '../../src/fleet/verbs/adopt.ts';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { adoptText } from '../../src/ui/views/adopt.ts';
import { themeFor } from '../../src/ui/theme.ts';
import { withDatabases } from '../helpers/database.ts';
import { addTenants, makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();
const theme = themeFor({ columns: 0 }, {}, { color: false });

const files = {
  'core/20240101000001_meters/migration.sql': 'create table meters (id int primary key);',
  'core/20240101000002_note/migration.sql': 'alter table meters add note text;',
};
const PRISMA = `create table meters (id int primary key);
create table _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null, finished_at timestamptz,
  migration_name varchar(255) not null, logs text, rolled_back_at timestamptz,
  started_at timestamptz not null default now(), applied_steps_count int not null default 0);
insert into _prisma_migrations (id, checksum, finished_at, migration_name) values `;
const ours = `${PRISMA} ('a', 'x', now(), '20240101000001_meters')`;
const others = `${PRISMA} ('a', 'x', now(), '20200101000001_invoices')`;
const failed = `${PRISMA} ('a', 'x', null, '20240101000001_meters')`;

test('histories 17: many databases are adopted by what is in them, dry before written, and go on where it was cut off', async () => {
  const fleet = await makeFleet(databases, { count: 1, files });
  await up(fleet.config, { all: true });
  const make = async (label: string, sql = '') => {
    const { name } = await databases.create(label);
    if (sql) await databases.query(sql, name);
    return name;
  };
  const a = await make('shop_a', ours);
  const b = `${databases.prefix}9_shop_b x'\n\u001b[31m::error::\\`;
  await databases.query(`alter database "${await make('shop_b', ours)}" rename to "${b}"`);
  databases.adopt(b);
  const c = await make('shop_c', ours);
  await make('shop_d', others);
  await make('shop_e');
  await make('shop_f', 'create table invoices (id int)');
  await make('shop_g', failed);
  const closed = await make('shop_h');
  await databases.query(`alter database "${closed}" allow_connections false`);
  await databases.query(`comment on database "${a}" is 'theirs [mpm-migrate:2:7:${'0'.repeat(64)}]'`);
  const [tenant] = fleet.tenants;
  const input = {
    databases: [`${databases.prefix}*_shop_?*`],
    names: [tenant?.database ?? '', 'gone', new URL(fleet.config.central.url).pathname.slice(1), 'a\0b'],
    labels: { tier: 'gold' },
  };
  const rows = () => fleet.central('select database_name as d from company_databases order by company_id');
  const dry = await adoptTenants(fleet.config, input);
  expect(dry.counts).toEqual({ total: 12, adopted: 3, unchanged: 1, leftOut: 5, failed: 3 });
  expect(await rows()).toHaveLength(1);
  const text = adoptText(dry, theme, ['tenant adopt', '--databases', 'shop_*']);
  expect(text).toContain("To write:   mpm-migrate tenant adopt --databases 'shop_*' --write");
  expect(text).toContain('– 1 prisma, with none of your migrations: left out  To take them: --also prisma\n');
  expect(text).not.toContain('\u001b');
  expect(text).not.toMatch(/^::/m);
  const found = Object.fromEntries(dry.databases.map((each) => [each.database, each]));
  expect(found[a]).toMatchObject({ holds: 'tool', tool: 'prisma', applied: 1, ours: true });
  expect(found[tenant?.database ?? '']).toMatchObject({ holds: 'registered', id: '1' });
  expect(found['gone']).toMatchObject({ holds: 'missing', outcome: 'left out' });
  expect(found[closed]?.error?.message).toContain('not currently accepting connections');

  // One was registered before this was cut off, as after a kill.
  await addTenants(fleet, [{ id: '2', name: a, database: a }]);
  const stop = new AbortController();
  stop.abort();
  expect(await adoptTenants(fleet.config, input, { write: true, signal: stop.signal })).toMatchObject({
    interrupted: true,
    counts: { adopted: 0 },
  });
  const events: string[] = [];
  const written = await adoptTenants(fleet.config, input, {
    write: true,
    concurrency: 2,
    onEvent: ({ type }) => void events.push(type),
  });
  expect(written.counts).toMatchObject({ adopted: 2, unchanged: 2, failed: 3 });
  expect(events).toContain('run-started');
  expect((await rows()).map(({ d }) => d)).toEqual([tenant?.database, a, c, b]);
  expect(
    await fleet.central(
      'select name, labels, status from companies join company_databases on company_id = companies.id where company_id = 4',
    ),
  ).toEqual([{ name: b, labels: { tier: 'gold' }, status: 'active' }]);
  expect(adoptText(written, theme, [])).toContain('Then:   mpm-migrate baseline --all --from prisma');
  expect((await adoptTenants(fleet.config, input, { write: true })).counts).toMatchObject({
    adopted: 0,
    unchanged: 4,
  });

  const recorded = await baseline(fleet.config, { tenants: ['2..4'] }, { from: 'prisma', write: true });
  expect(recorded.counts).toMatchObject({ changed: 3, failed: 0 });
  expect((await up(fleet.config, { all: true })).counts).toMatchObject({ migrated: 3, current: 1 });

  const query = `select datname from pg_database where datname ~ '^${databases.prefix}.*shop_[ef]'`;
  const more = await adoptTenants(fleet.config, { query, also: ['empty', 'tables'] }, { write: true });
  expect(more.counts).toMatchObject({ total: 2, adopted: 2 });
});

test('histories 17: what names no database, or is not known, is refused before anything is looked into', async () => {
  const { config } = await makeFleet(databases, { count: 0, files });
  const refused = (input: AdoptTenantsInput, said: string) =>
    expect(adoptTenants(config, input)).rejects.toThrow(said);
  await refused({}, 'no databases named');
  await refused({ databases: ['zz_*'] }, 'matches "zz_*"');
  await refused({ query: 'select 1 where false' }, '--query: no rows');
  await refused({ query: 'select nothing from here' }, '--query: relation "here" does not exist');
  await refused({ query: 'drop table companies' }, 'cannot execute DROP TABLE in a read-only transaction');
  await refused({ names: ['a'], also: ['prisme' as 'prisma'] }, '--also prisme: unknown');
  await refused({ names: ['a'], server: 'eu' }, 'there is no server "eu"');
});
