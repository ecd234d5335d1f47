import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RULES } from '../../src/lint/registry.ts';
import { lintSql, rulePage } from '../helpers/lint-pages.ts';

const found = async (...texts: string[]): Promise<string[]> =>
  (await lintSql(texts)).findings.map(({ rule }) => rule).filter((rule) => rule !== 'missing-down');

test.each(RULES)(
  'confidence 1: the page of $id says what the rule finds, and what it does not',
  async (rule) => {
    const { id, hazard, severity } = rule;
    const page = rulePage(id);
    expect(page.hazard).toBe(hazard);
    const { findings } = await lintSql(page.found);
    const own = findings.filter((finding) => finding.rule === id);
    expect(own.length).toBeGreaterThan(0);
    const [first] = own;
    expect(first).toMatchObject({
      severity,
      hazard,
      page: `docs/lint/${id}.md`,
      safe: expect.stringMatching(/\S/),
    });
    const { lock } = first!;
    const waits =
      lock && (lock.blocks === null ? 'nothing waits but changes of the same rows' : `${lock.blocks} wait`);
    expect(lock && { mode: lock.mode, table: lock.table, blocks: waits }).toEqual(page.lock);
    const clean = await lintSql(page.instead);
    expect(clean.findings.map((each) => each.rule).filter((each) => each !== 'missing-down')).toEqual([]);
  },
);

test('confidence 1: every page is a rule of the list', () => {
  const folder = join(import.meta.dirname, '../../docs/lint');
  const pages = readdirSync(folder).filter((file) => file !== 'README.md');
  expect(pages.toSorted()).toEqual(RULES.map(({ id }) => `${id}.md`).toSorted());
  const index = readFileSync(join(folder, 'README.md'), 'utf8');
  expect(RULES.filter(({ id }) => !index.includes(`[${id}](${id}.md)`))).toEqual([]);
});

test('confidence 1: what a migration makes itself has no rows and no users', async () => {
  expect(
    await found(`create table t (id int primary key, a int, b varchar(3));
      create index on t (a); alter table t add column x uuid default gen_random_uuid();
      alter table t alter column a type bigint; alter table t alter column a set not null;
      alter table t add constraint c check (a > 0); alter table t rename a to z; alter table t drop column b;
      update t set z = 1; truncate t; alter table t rename to u; create index on u (z); drop table u cascade;`),
  ).toEqual([]);
  expect(
    await found('create temp table t (id int); update t set id = 1;', 'create index on orders (amount);'),
  ).toEqual(['index-not-concurrent']);
});

test('confidence 1: what migrations before have made is known', async () => {
  expect(await found('alter table customers alter column name type varchar(80);')).toEqual([]);
  expect(await found('alter table customers alter column name type varchar(20);')).toEqual([
    'column-type-rewrite',
  ]);
  expect(await found('alter table customers alter column name type text;')).toEqual([]);
  const typed = 'alter table customers rename name to label;';
  expect(await found(typed, 'alter table customers alter column label type varchar(80);')).toEqual([
    'rename',
  ]);
  expect(await found('alter table orders alter column customer_id set not null;')).toEqual([]);
  expect(await found('alter table unknown alter column a type text;')).toEqual([]);
  const definer = 'create function once() returns int immutable language sql as $$ select 1 $$;';
  expect(await found(definer, 'alter table orders add column a int default once();')).toEqual([]);
  expect(
    await found(definer.replace('immutable', ''), 'alter table orders add column a int default once();'),
  ).toEqual(['column-volatile-default']);
  expect(
    await found(
      'drop table if exists never; drop index if exists nowhere; drop trigger if exists t on orders;',
    ),
  ).toEqual([]);
  const twice =
    'alter table orders add column if not exists amount int not null; create index if not exists orders_state on orders (state);';
  expect(await found(twice)).toEqual([]);
  const app = 'create schema app; create table app.t (id int primary key, a varchar(3));';
  expect(
    await found(`${app} set local search_path to app; alter table t alter column a type bigint using 1;`),
  ).toEqual([]);
  expect(await found(app, 'alter table t alter column a type varchar(9); drop table t;')).toEqual([
    'drop-table',
  ]);
  const parts = 'create table p (k int, a int) partition by list (k);';
  expect(await found(parts, 'create index i on only p (a);')).toEqual([]);
  expect(await found(parts, 'create index i on p (a);')).toEqual(['index-not-concurrent']);
  expect(await found("alter type mood rename value 'good' to 'fine';")).toEqual(['rename']);
  expect(await found('create type addr as (a int);', 'alter type addr add attribute b int;')).toEqual([]);
  expect(await found('truncate feelings; alter table feelings add column a int not null;')).toEqual([
    'truncate',
  ]);
});

test('confidence 1: a lock belongs to its transaction', async () => {
  const outside = '-- migrate:up transaction:false\n';
  const two = 'alter table orders add column a int;\nalter table customers add column a int;';
  expect(await found(two)).toEqual(['two-tables-locked']);
  expect(await found(`${outside}${two}`)).toEqual([]);
  expect(await found(`${outside}begin;${two}commit;`)).toEqual(['two-tables-locked']);
  expect(
    await found(
      `${outside}begin; alter table orders add a int; commit; begin; alter table customers add a int; commit;`,
    ),
  ).toEqual([]);
  const validated = `alter table orders add constraint c check (amount > 0) not valid; alter table orders validate constraint c;`;
  expect(await found(`${outside}${validated}`)).toEqual([]);
});

test('confidence 1: an allow holds for the statement below it, or above the first section for the file', async () => {
  const rename = 'alter table orders rename state to status;';
  const drop = 'alter table orders drop column amount;';
  const allow = '-- mpm:allow rename both names are read';
  const below = await lintSql([`${drop}\n${allow}\n${rename}`]);
  expect(below.findings.map(({ rule }) => rule)).toEqual(['drop-column', 'missing-down']);
  expect(below.allowed).toMatchObject([{ rule: 'rename', reason: 'both names are read', line: 3 }]);
  expect(await found(`${allow}\n${drop}\n${rename}`)).toEqual(['allow-unused', 'drop-column', 'rename']);
  expect(await found(`${allow}\n-- migrate:up\n${drop}\n${rename}\n`)).toEqual(['drop-column']);
  expect(await found(`-- mpm:allow renam x\n${rename}`)).toEqual(['allow-invalid', 'rename']);
  const off = await lintSql([`${allow}\n${drop}`], {
    rename: 'off',
    'drop-column': 'warn',
    'missing-down': 'off',
  });
  expect(off.findings.map(({ rule, severity }) => `${rule} ${severity}`)).toEqual(['drop-column warn']);
});

test('confidence 1: drops and renames are for deferred migrations', async () => {
  const taking =
    'alter table orders rename state to status; alter table orders drop column amount; drop table feelings;';
  const own = (rules: string[]) => rules.filter((rule) => !rule.startsWith('two-'));
  expect(own(await found(taking))).toEqual(['rename', 'drop-column', 'drop-table']);
  expect(own(await found(`-- migrate:up phase:contract\n${taking}`))).toEqual([]);
});

test('a statement that the parser refuses is named with its line, and the rest is judged', async () => {
  const { findings } = await lintSql(['alter table orders add a int;\nalter tabel x;\ntruncate orders;']);
  expect(findings.map(({ rule, line }) => `${rule}:${line}`)).toEqual([
    'missing-down:1',
    'syntax:2',
    'truncate:3',
  ]);
});

test.each([
  [
    'alter table customers add constraint mail unique (email);',
    'create unique index concurrently mail on customers (email);',
  ],
  [
    'alter table customers add column "Key" int unique;',
    'create unique index concurrently "customers_Key_key" on customers ("Key");',
  ],
  ['alter table orders add constraint c check (amount > 0);', 'alter table orders validate constraint c;'],
  ["select set_config('search_path', '', false);", "select set_config('search_path', '', true);"],
  [
    'alter table orders alter column placed type timestamptz;',
    "set local timezone to 'UTC';\nalter table orders alter column placed type timestamptz;",
  ],
  ['vacuum full orders;', 'vacuum orders;'],
])('confidence 1: the safe form of %s has its names', async (sql, safe) => {
  const { findings } = await lintSql([sql], { 'missing-down': 'off' });
  expect(findings.map((finding) => finding.safe).join('\n')).toContain(safe);
});
