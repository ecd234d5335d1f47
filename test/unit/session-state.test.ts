import { expect, test } from 'vitest';
import { changesSession } from '../../src/sessions/session-state.ts';

test.each([
  'set search_path = evil',
  'SET SESSION statement_timeout = 0',
  'set role auditor',
  "set time zone 'UTC'",
  'set session authorization eve',
  'set session characteristics as transaction read only',
  '  -- why\n  /* so */ set search_path to a',
  'select 1; set work_mem = 1000',
  'do $$ begin set search_path = evil; end $$',
  'do $$ begin if true then set role eve; end if; end $$',
  "select set_config('search_path', 'evil', false)",
  "select set_config('search_path', $1, $2)",
  "select set_config('app.note', '(a, true', false)",
  "select set_config('app.a', 'it''s', true), set_config('app.b', 'x', false)",
  'listen orders',
  'prepare p as select 1',
  "load 'auto_explain'",
  'create temp table t (i int)',
  'create temporary table "t" ("i" integer)',
  'create local temp view v as select 1',
  'select 1 as i into temp t',
  'create table pg_temp.t (i int)',
  'create function pg_temp.f() returns int language sql as $$ select 1 $$',
  'select pg_advisory_lock(42)',
  'select pg_try_advisory_lock_shared(1, 2)',
  'declare c cursor with hold for select 1',
  'declare c no scroll cursor WITH HOLD for select 1',
  'select setseed(0.5)',
])('fleet 29: changes its session: %s', (sql) => {
  expect(changesSession(sql)).toBe(true);
  // Known by now.
  expect(changesSession(sql)).toBe(true);
});

test.each([
  'select 1',
  'update t set a = 1 where b = $1',
  'insert into t (a) values (1) on conflict (a) do update set a = 2',
  'alter table t alter a set not null',
  'set local search_path = app',
  'SET LOCAL role auditor',
  'set transaction read only',
  'set constraints all deferred',
  'begin; set local work_mem = 1000; commit',
  "select set_config('app.user', $1, true)",
  "select set_config('app.user', 'a, (b', TRUE)",
  "prepare transaction 'x'",
  'create temp table t (i int) on commit drop',
  'create temporary table "t" ("i" integer) on commit drop',
  'select pg_advisory_xact_lock(42)',
  'select pg_try_advisory_xact_lock(1)',
  'declare c cursor for select 1',
  'select settings, offset_minutes, preset from listeners',
  'select temp from weather',
  "select temperature from weather where note = 'on hold'",
])('fleet 29: leaves its session as it is: %s', (sql) => expect(changesSession(sql)).toBe(false));

test('fleet 29: a long text is looked at without being kept', () => {
  const long = `insert into t values ${"('x'),".repeat(1000)}('y')`;
  expect(changesSession(long)).toBe(false);
  expect(changesSession(`${long}; set role eve`)).toBe(true);
});
