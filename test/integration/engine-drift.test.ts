import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareCatalogs, type ObjectDifference } from '../../src/engine/catalog/compare.ts';
import { fixingSql } from '../../src/engine/catalog/fix.ts';
import { type CatalogObject, readCatalog } from '../../src/engine/catalog/query.ts';
import { connect } from '../../src/postgres/connect.ts';
import type { Connection } from '../../src/postgres/connection.ts';
import { withDatabases } from '../helpers/database.ts';
import { OPTIONS, targetOf } from '../helpers/options.ts';
import { RICH } from '../helpers/rich.ts';

const databases = withDatabases();
const CATALOG = { history: OPTIONS.history, comments: true, lockTimeout: 1000 };

/** One database as it was built; each test changes it in a transaction, and takes that back. */
let connection: Connection;
let built: CatalogObject[];

beforeAll(async () => {
  const { url } = await databases.create('rich');
  connection = await connect(targetOf(url));
  for (const sql of Object.values(RICH)) await run(sql);
  built = await readCatalog(connection, CATALOG);
});

afterAll(() => connection.close());

const run = (sql: string) =>
  connection.query(`set local search_path = public; ${sql};\nset local search_path = pg_catalog, pg_temp`);

async function inTransaction<T>(work: () => Promise<T>): Promise<T> {
  await connection.query('begin');
  try {
    return await work();
  } finally {
    await connection.query('rollback');
  }
}

async function differences(ignore: string[] = []): Promise<ObjectDifference[]> {
  const found = await readCatalog(connection, CATALOG);
  return compareCatalogs({ database: 'a', objects: built }, { database: 'b', objects: found }, { ignore });
}

const messages = (list: readonly ObjectDifference[]) => list.map(({ message }) => message);

/** What is said after some changes, and what is left when the SQL that is shown has run. */
const changed = (...sql: string[]) =>
  inTransaction(async () => {
    for (const each of sql) await run(each);
    const found = await differences();
    const fix = fixingSql(found, built);
    await connection.query(fix.join('\n')).catch((error: unknown) => {
      throw new Error(`${fix.join('\n')}: ${String(error)}`);
    });
    return { said: messages(found), fix, left: messages(await differences()) };
  });

/** Each: what is done to a tenant, what is said of it; `lossy`: no SQL mends it. */
const changes: [sql: string, said: string, lossy?: 'lossy'][] = [
  ['alter table meters drop column note', 'meters.note is missing'],
  ['alter table meters add extra int', 'meters.extra is extra: no migration makes it', 'lossy'],
  ['alter table meters alter big type int', 'meters.big: type is integer, not bigint'],
  [
    'alter table sites alter label type varchar(90)',
    'sites.label: type is character varying(90), not character varying(80)',
  ],
  [
    'alter table sites alter zone type text collate "POSIX"',
    'sites.zone: type is text collate "POSIX", not text collate "C"',
  ],
  ['alter table meters alter lowest set default 1', 'meters.lowest: default is 1, not 0.00'],
  ['alter table meters alter kind drop default', "meters.kind: default is nothing, not 'power'::public.kind"],
  ['alter table meters alter site drop not null', 'meters.site: not null is no, not yes'],
  ['alter table sites alter id drop identity', 'sites.id: identity is nothing, not always'],
  ['alter table sites alter id set increment 5 set cycle', 'sites.id differs: sequence'],
  [
    'grant usage on sequence sites_id_seq to pg_monitor',
    'sites.id: privileges of its sequence is pg_monitor USAGE, not nothing',
    'lossy',
  ],
  ['drop index meters_code', 'index meters_code is missing'],
  ['create index more on meters (site)', 'index more is extra: no migration makes it'],
  [
    'drop index meters_since; create index meters_since on meters (since)',
    'index meters_since differs: definition',
  ],
  ['alter table meters drop constraint meters_site_fkey', 'constraint meters.meters_site_fkey is missing'],
  [
    'alter table meters add constraint low check (lowest > -5) not valid',
    'constraint meters.low is extra: no migration makes it',
  ],
  [
    'create or replace function touch() returns trigger language plpgsql as $$ begin return new; end $$',
    'function touch() differs: definition',
  ],
  ['drop function plus(int, int)', 'function plus(a integer, b integer) is missing'],
  ['drop aggregate joined(text)', 'function joined(text) is missing'],
  ['drop procedure tidy()', 'function tidy() is missing'],
  ['alter table meters disable trigger meters_touch', 'trigger meters.meters_touch: enabled is no, not yes'],
  ['drop trigger meters_touch on meters', 'trigger meters.meters_touch is missing'],
  ['drop view busier', 'view busier is missing'],
  ['create or replace view busier as select id from busy', 'view busier differs: query'],
  ['drop materialized view totals', 'view totals is missing'],
  ['alter sequence numbers increment 7', 'sequence numbers: increment is 7, not 5'],
  [
    'alter sequence meters_id_seq owned by none',
    'sequence meters_id_seq: owned by is nothing, not public, meters, id',
  ],
  ['drop sequence numbers', 'sequence numbers is missing'],
  ['drop policy own on sites', 'policy sites.own is missing'],
  [
    'alter policy own on sites using (true)',
    'policy sites.own: using is true, not ((name)::text = CURRENT_USER)',
  ],
  ['alter table sites disable row level security', 'table sites: row security is no, not yes'],
  ['alter table sites force row level security', 'table sites: forced row security is yes, not no'],
  ['drop rule no_delete on cache', 'rule cache.no_delete is missing'],
  [
    'revoke select on busy from pg_read_all_data',
    'view busy: privileges is nothing, not pg_read_all_data SELECT',
  ],
  [
    'revoke grant option for select on sites from pg_monitor',
    'table sites: privileges is pg_monitor SELECT, not pg_monitor SELECT WITH GRANT OPTION',
  ],
  ['revoke select (id) on meters from pg_monitor', 'meters.id: privileges is nothing, not pg_monitor SELECT'],
  [
    'grant execute on function plus(int, int) to public',
    'function plus(a integer, b integer): privileges is public EXECUTE, not nothing',
  ],
  [
    'alter default privileges in schema audit revoke select on tables from pg_monitor',
    'default privileges audit.tables is missing',
  ],
  ["alter type kind add value 'gas'", 'type kind: labels is water, power, gas, not water, power', 'lossy'],
  ['drop table cache', 'table cache is missing'],
  ['create table own (id serial primary key)', 'table own is extra: no migration makes it', 'lossy'],
  ['alter table cache set logged', 'table cache: is is permanent, not unlogged'],
  ['drop table audit.log', 'table audit.log is missing'],
  ['create extension pg_trgm', 'extension pg_trgm is extra: no migration makes it', 'lossy'],
  ["create collation other (locale = 'C')", 'collation other is extra: no migration makes it', 'lossy'],
  ['alter domain share drop constraint share_range', 'type share differs: constraints', 'lossy'],
  ["comment on table meters is 'other'", 'comment table public.meters: text is other, not what counts'],
  ['comment on table meters is null', 'comment table public.meters is missing'],
];

describe('confidence 7: each kind of difference is found, told, and mended by the SQL that is shown', () => {
  test.each(changes)('%s', async (sql, text, lossy) => {
    const { said, left } = await changed(sql);
    expect(said.join('; ')).toBe(text);
    expect(left.join('; ')).toBe(lossy ? text : '');
  });
});

describe('confidence 7: what the SQL that is shown keeps', () => {
  test('what was renamed gets its name back, and what depends on it stays', async () => {
    const { fix, left } = await changed(
      'alter table sites rename constraint sites_pkey to one',
      'alter index meters_code rename to two',
      'alter function plus(int, int) rename to three',
      'alter trigger meters_touch on meters rename to four',
      'alter policy own on sites rename to five',
      'alter view busier rename to six',
      'alter sequence meters_id_seq rename to seven',
    );
    expect(left).toEqual([]);
    expect(fix.filter((sql) => /^(?:create|drop)/i.test(sql))).toEqual([]);
  });

  test('a sequence that is made again goes on behind the numbers that its table holds', async () => {
    await inTransaction(async () => {
      await run("insert into sites (name) values ('a'); insert into meters (site) values (1), (1), (1)");
      await run('drop sequence meters_id_seq cascade');
      await connection.query(fixingSql(await differences(), built).join('\n'));
      await run('insert into meters (site) values (1)');
      const rows = await connection.query<{ id: number }>(
        'select id from public.meters order by id desc limit 1',
      );
      expect([rows, messages(await differences())]).toEqual([[{ id: 4 }], []]);
    });
  });

  test('functions that columns call, keys that views group by, and comments of what is made again', async () => {
    const { said, left } = await inTransaction(async () => {
      await run(
        "create function code() returns text language sql as 'select 1::text'; alter table meters alter code set default code()",
      );
      await run(
        "comment on constraint meters_site_fkey on meters is 'kept'; comment on index meters_code is 'kept'",
      );
      await run('create view per_site as select id, name, count(*) from sites group by id');
      const before = built;
      built = await readCatalog(connection, CATALOG);
      try {
        await run(
          'drop function code() cascade; alter table meters alter constraint meters_site_fkey deferrable',
        );
        await run(
          "drop index meters_code; create index meters_code on meters (code); comment on index meters_code is 'kept'",
        );
        await run(
          'alter view busier rename to busy_ones; alter table sites drop constraint sites_pkey cascade',
        );
        const found = await differences();
        await connection.query(fixingSql(found, built).join('\n'));
        return { said: messages(found), left: messages(await differences()) };
      } finally {
        built = before;
      }
    });
    expect(said).toHaveLength(9);
    expect(left).toEqual([]);
  });

  test('a column that was in the middle: a comment says that it comes last', async () => {
    const { fix, left } = await changed('alter table meters drop code');
    expect(fix.join('\n')).toContain(
      '-- meters.code comes behind the other columns of its table: no statement changes their order',
    );
    expect(left).toEqual([
      expect.stringMatching(/^table meters(?:: order of columns is| differs: order of columns)/),
    ]);
  });
});

test('confidence 7: what PostgreSQL writes in another way is no difference', async () => {
  await inTransaction(async () => {
    // As a dump that was restored has it, an upgrade of the server, and who looks after partitions.
    const written =
      "((state)::text = ANY (ARRAY[('on'::character varying)::text, ('off'::character varying)::text]))";
    await run(
      `alter table meters drop constraint meters_state_check, add constraint meters_state_check check ${written}`,
    );
    await run('alter table meters rename constraint meters_site_fkey to counters_site_fkey');
    await run('alter table meters add gone int; alter table meters drop gone');
    await run(
      "create table audit.log_2025 partition of audit.log for values from ('2025-01-01') to ('2026-01-01'); drop table audit.log_2024",
    );
    await run("grant create on schema public to public; select setval('numbers', 1000)");
    expect(messages(await differences())).toEqual([]);
  });
});

test('confidence 7: what tenants may own is left out', async () => {
  await inTransaction(async () => {
    await run(
      'create schema reports; create table reports.mine (id serial primary key); create index own on meters (note); alter table meters add own_x int',
    );
    const found = (...ignore: string[]) => differences(ignore).then(messages);
    expect(await found('schema:reports', 'reports.*', 'index:own')).toEqual([
      'meters.own_x is extra: no migration makes it',
    ]);
    expect(await found('schema:reports', 'reports.*', 'meters')).toEqual([]);
  });
});
