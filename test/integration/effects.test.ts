import { loadModule, parseSync } from 'libpg-query';
import pg from 'pg';
import { beforeAll, expect, test } from 'vitest';
import { readEffects } from '../../src/engine/impact/effects-read.ts';
import { readFacts } from '../../src/engine/impact/facts.ts';
import { type Impact, impactOf } from '../../src/engine/impact/impact.ts';
import type { Migration, SqlScript } from '../../src/engine/migration.ts';
import type { Node } from '../../src/engine/sql/nature.ts';
import { answerTo, type Facts } from '../../src/engine/sql/effects/answer.ts';
import { effectsOf } from '../../src/engine/sql/effects/effects.ts';
import { isAtLeast, type LockMode, stronger } from '../../src/engine/sql/effects/lock-mode.ts';
import { rewritesRows } from '../../src/engine/sql/effects/type-change.ts';
import { columnType, type ColumnType, fieldsOf, opened } from '../../src/engine/sql/effects/tree.ts';
import { connect } from '../../src/postgres/connect.ts';
import type { Connection } from '../../src/postgres/connection.ts';
import { withDatabases } from '../helpers/database.ts';

const databases = withDatabases();
beforeAll(loadModule);

const SCHEMA = `
create table o (id int primary key, w int not null);
create table t (id int primary key, a int, b varchar(10) default 'x', c numeric(8,2), d text, e int not null, ts timestamp,
  o_id int references o, constraint a_there check (a is not null));
create unique index e_key on t (e);
create index b_idx on t (b);
create view v as select id, d from t;
create materialized view m as select id from t;
create unique index on m (id);
create table p (id int, k int) partition by list (k);
create table p1 partition of p for values in (1);
create table part (id int, k int);
create function steady() returns int immutable language sql as 'select 1';
create function shaky() returns int volatile language plpgsql as 'begin return 1; end';
create function nothing() returns trigger language plpgsql as 'begin return new; end';
create domain plain as int; create domain checked as int check (value is null or value > 0);
create trigger trg before update on t for each row execute function nothing();
create policy pol on t using (true);
alter table t add constraint later check (id > 0) not valid;
insert into o select n, n from generate_series(1, 3) n;
insert into t select n, n, n, n, n, n, now(), n from generate_series(1, 3) n;`;

const STATEMENTS = [
  'alter table t add column x int',
  'alter table t add column x int default 5 not null',
  'alter table t add column x timestamptz default now()',
  'alter table t add column x uuid default gen_random_uuid()',
  'alter table t add column x int default steady()',
  'alter table t add column x int default shaky()',
  'alter table t add column x serial',
  'alter table t add column x int generated always as identity',
  'alter table t add column x int generated always as (a + 1) stored',
  'alter table t add column x int generated always as (a + 1) virtual',
  'alter table t add column x plain default 1',
  'alter table t add column x checked default 1',
  'alter table t add column x int references o',
  'alter table t add column x int unique',
  'alter table t drop column d cascade',
  'alter table t alter column a type bigint',
  'alter table t alter column b type varchar(20)',
  'alter table t alter column b type varchar(5)',
  'alter table t alter column b type text',
  'alter table t alter column b type varchar using b::varchar',
  'alter table t alter column c type numeric(12,2)',
  'alter table t alter column c type numeric(12,3)',
  'alter table t alter column c type numeric',
  'alter table t alter column ts type timestamp(3)',
  'alter table t alter column ts type timestamp(6)',
  'alter table t alter column a type text using a::text',
  'alter table t alter column e type int using e + 1',
  'alter table t alter column a set default 4',
  'alter table t alter column a set not null',
  'alter table t alter column e drop not null',
  'alter table t alter column a set statistics 100',
  'alter table t alter column d set storage external',
  'alter table t set (fillfactor = 70)',
  'alter table t add constraint x check (a > 0)',
  'alter table t add constraint x check (a > 0) not valid',
  'alter table t validate constraint later',
  'alter table t add constraint x foreign key (a) references o',
  'alter table t add constraint x foreign key (a) references o not valid',
  'alter table t add constraint x unique (a)',
  'alter table t add constraint x unique using index e_key',
  'alter table t add constraint x exclude using btree (a with =)',
  'alter table t drop constraint a_there',
  'alter table t set unlogged',
  'alter table t disable trigger all',
  'alter table t enable row level security',
  'alter table t rename to u',
  'alter table t rename column a to z',
  'alter table t set schema pg_temp_none',
  'alter table p attach partition part for values in (2)',
  'alter table p detach partition p1',
  'create table p2 partition of p for values in (3)',
  'create table x (o_id int references o)',
  'create table x (like t)',
  'create table x () inherits (t)',
  'create table x as select * from t',
  'create index on t (a)',
  'reindex table t',
  'cluster t using t_pkey',
  'truncate t',
  'lock table t',
  'lock table t in share mode',
  'create trigger x before insert on t for each row execute function nothing()',
  'drop trigger trg on t',
  'create policy x on t using (true)',
  'drop policy pol on t',
  'create rule x as on delete to t do instead nothing',
  'create statistics x on a, e from t',
  "comment on table t is 'x'",
  "comment on column t.a is 'x'",
  'drop table t cascade',
  'refresh materialized view m',
  'refresh materialized view concurrently m',
  'create or replace view v as select id, d from t',
  'insert into t (id, a, e) values (9, 9, 9)',
  'update t set a = 1',
  'delete from t where a = 1',
  'select * from t for update',
  'with gone as (delete from t returning *) insert into o select id, 1 from gone where false',
  'merge into t using o on o.id = t.id when matched then delete',
  'analyze t',
];

/** As `plan --impact` reads a migration of one statement, and what the database says of it. */
async function readMigration(connection: Connection, sql: string): Promise<{ facts: Facts; impact: Impact }> {
  const script: SqlScript = {
    kind: 'sql',
    path: '1.sql',
    text: sql,
    sql,
    start: 0,
    options: { transaction: true },
  };
  const effects = await readEffects([{ name: '1', up: script } as Migration]);
  const facts = await readFacts(connection, effects);
  return { facts, impact: impactOf(effects, facts) };
}

const RELATIONS = ['t', 'o', 'p', 'p1', 'part', 'v', 'm'];

/** Their reading is what the planner decides. */
function isQuery(sql: string): boolean {
  return /^(?:insert|update|delete|select|with|merge|analyze|create table x as)/.test(sql);
}

function treeOf(sql: string): Node {
  return (parseSync(sql) as unknown as { stmts: { stmt: Node }[] }).stmts[0]!.stmt;
}

test('confidence 3: what a statement does to tables, and how large they are, is what the server does', async () => {
  const { url } = await databases.create();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const files = async () => {
    const { rows } = await client.query<{ relname: string; relfilenode: string }>(
      `select relname, pg_relation_filenode(oid) as relfilenode from pg_class where relname = any($1) and relkind <> 'p'`,
      [RELATIONS],
    );
    return new Map(rows.map(({ relname, relfilenode }) => [relname, relfilenode]));
  };
  const scans = async () => {
    const { rows } = await client.query<{ relname: string; n: string }>(
      `select relname, pg_stat_get_xact_numscans(oid) as n from pg_class where relname = any($1)`,
      [RELATIONS],
    );
    return new Map(rows.map(({ relname, n }) => [relname, n]));
  };
  const differences: string[] = [];
  let connection: Connection | undefined;
  try {
    await client.query(SCHEMA);
    connection = await connect({ url, applicationName: 'test', connectTimeout: 5000 });
    const version = connection.version;
    const before = await files();
    const { rows: sized } = await client.query<{ relname: string; bytes: string }>(
      `select relname, case when relkind in ('r', 'm', 'p') then (select sum(pg_total_relation_size(t.relid)) from
  (select relid from pg_partition_tree(oid) union select oid) t) else 0 end as bytes from pg_class where relname = any($1)`,
      [RELATIONS],
    );
    const sizes = new Map(sized.map(({ relname, bytes }) => [relname, Number(bytes)]));
    const oids = await client.query<{ relname: string; oid: string }>(
      'select relname, oid from pg_class where relname = any($1)',
      [RELATIONS],
    );
    for (const statement of STATEMENTS) {
      if (version < 18 && statement.endsWith('virtual')) continue;
      const sql = statement.replace('pg_temp_none', 'other');
      const { facts, impact } = await readMigration(connection, sql);
      await client.query('begin');
      await client.query('create schema other');
      const scansBefore = await scans();
      await client.query(sql);
      const { rows } = await client.query<{ oid: string; mode: string }>(
        `select relation as oid, mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation' and relation = any($1)`,
        [oids.rows.map(({ oid }) => oid)],
      );
      const scansAfter = await scans();
      const after = await files();
      await client.query('rollback');
      const taken: Record<string, LockMode> = {};
      for (const { oid, mode } of rows) {
        const { relname } = oids.rows.find((each) => each.oid === oid)!;
        const words = mode
          .replace(/Lock$/, '')
          .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
          .toUpperCase() as LockMode;
        taken[relname] = taken[relname] ? stronger(taken[relname], words) : words;
      }
      const { tables } = effectsOf(treeOf(sql));
      for (const { table, bytes } of impact.tables)
        if (bytes !== sizes.get(table))
          differences.push(`${sql}: ${table} has ${bytes}, stated ${sizes.get(table)}`);
      const untold = tables.filter(
        ({ lock, relation }) =>
          isAtLeast(lock, 'SHARE') && !impact.tables.some(({ table }) => table === relation.name),
      );
      if (untold.length) differences.push(`${sql}: not told of ${untold[0]?.relation.name}`);
      for (const { relation, lock, rewrite, clause } of tables) {
        const stated = tables
          .filter((each) => each.relation.name === relation.name)
          .reduce<LockMode>((mode, each) => stronger(mode, each.lock), lock);
        const has = taken[relation.name];
        if (has !== stated) differences.push(`${sql}: ${relation.name}: ${has}, stated ${stated}`);
        if (!after.has(relation.name) || /truncate/.test(clause)) continue;
        const isNew = after.get(relation.name) !== before.get(relation.name);
        const isRead = scansAfter.get(relation.name) !== scansBefore.get(relation.name);
        const reads = tables
          .filter((each) => each.relation.name === relation.name)
          .some((each) => [each.scan, each.rewrite].some((one) => answerTo(one, relation, facts) !== 'no'));
        if (isRead !== reads && !isQuery(sql))
          differences.push(`${sql}: ${relation.name} read ${isRead}, stated ${reads}`);
        const answer = answerTo(rewrite, relation, facts);
        if (answer !== (isNew ? 'yes' : 'no'))
          differences.push(`${sql}: rewritten ${isNew}, stated ${answer}`);
      }
      if (tables.length === 0) differences.push(`${sql}: nothing stated`);
    }
  } finally {
    await connection?.close();
    await client.end();
  }
  expect(differences).toEqual([]);
});

/** Each pair of types between which ALTER takes a column, and whether it writes the table anew. */
const PAIRS = `create function pairs(types text[]) returns table (before text, after text, rewritten bool) language plpgsql
set timezone to 'Asia/Kathmandu' as $$
declare file oid; taken bool;
begin
  foreach before in array types loop
    execute format('create table c (c %s)', before);
    foreach after in array types loop
      taken := false;
      begin
        file := pg_relation_filenode('c');
        execute format('alter table c alter c type %s', after);
        rewritten := file <> pg_relation_filenode('c');
        taken := true;
        raise 'undone';
      exception when others then
      end;
      if taken then return next; end if;
    end loop;
    drop table c;
  end loop;
end $$`;

test('a change between built-in types writes rows anew as stated', async () => {
  const { name } = await databases.create();
  const types =
    `int4 int8 oid numeric numeric(5,1) numeric(9,1) text varchar varchar(5) varchar(9) char(5) char(9) jsonb xml
    inet cidr bit(4) varbit varbit(4) varbit(8) time(2) time(4) timestamp(2) timestamp timestamp(6) timestamptz(4)
    interval interval(3) text[] varchar(5)[] varchar(9)[] int4[] regclass`.split(/\s+/);
  await databases.query(PAIRS, name);
  const rows = await databases.query<{ before: string; after: string; rewritten: boolean }>(
    `select * from pairs('{${types.map((type) => `"${type}"`).join()}}')`,
    name,
  );
  const typeOf = (text: string): ColumnType => {
    const [, { tableElts }] = opened(treeOf(`create table t (c ${text})`));
    return columnType(fieldsOf(tableElts)[0]!['typeName']);
  };
  const differences = rows.flatMap(({ before, after, rewritten }) => {
    const stated = rewritesRows(typeOf(before), typeOf(after));
    const really = rewritten ? 'yes' : 'no';
    return stated === really || stated === 'unknown'
      ? []
      : [`${before} to ${after}: ${really}, stated ${stated}`];
  });
  expect(differences).toEqual([]);
  expect(rows.length).toBeGreaterThan(200);
});
