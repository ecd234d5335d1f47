import { describe, expect, test } from 'vitest';
import type { SqlScript } from '../../src/engine/migration.ts';
import type { SqlFileKind } from '../../src/engine/source/sections.ts';
import { parseSqlFile } from '../../src/engine/source/sql-file.ts';

function read(text: string, kind?: SqlFileKind): { up?: SqlScript; down?: SqlScript } {
  const { problems, ...scripts } = parseSqlFile('/m/1_a.sql', text, kind);
  expect(problems).toEqual([]);
  return scripts;
}

function problems(text: string, kind?: SqlFileKind): string[] {
  return parseSqlFile('/m/1_a.sql', text, kind).problems.map((problem) => problem.message);
}

describe('sections', () => {
  test('a plain file is up only', () => {
    const text = 'create table a (b int);\n';
    const { up, down } = read(text);
    expect(up).toMatchObject({
      kind: 'sql',
      path: '/m/1_a.sql',
      text,
      sql: text,
      start: 0,
      options: { transaction: true },
    });
    expect(down).toBeUndefined();
  });

  test('markers make two sections with options of their own; offsets are those of the file', () => {
    const text =
      '-- é 🚀\n-- migrate:up lock_timeout:5s statement_timeout:2min\nselect 1\n-- migrate:down transaction:false\r\nselect 2;';
    const { up, down } = read(text);
    expect(up?.sql).toBe('\nselect 1\n');
    expect(up?.options).toEqual({ transaction: true, lockTimeout: 5000, statementTimeout: 120_000 });
    expect(down?.options).toEqual({ transaction: false });
    for (const script of [up, down]) {
      expect(text.slice(script?.start, (script?.start ?? 0) + (script?.sql.length ?? 0))).toBe(script?.sql);
    }
  });

  test('down may come first, sections may be empty (engine 32), and a file may hold nothing', () => {
    expect(read('-- migrate:down\nselect 2;\n-- migrate:up\n')).toMatchObject({
      up: { sql: '\n' },
      down: { sql: '\nselect 2;\n' },
    });
    expect(read('').up?.sql).toBe('');
    expect(read('-- nothing to do\n').up).toBeDefined();
  });

  test('a marker within a string or a function body is none', () => {
    const text = `create function f() returns text language sql as $$\n-- migrate:down\nselect 'a' $$;`;
    expect(read(text)).toMatchObject({ up: { sql: text } });
  });

  test('half of a pair may begin with its own marker, for the options', () => {
    expect(read('-- migrate:up transaction:false\nvacuum;', 'up').up?.options).toEqual({
      transaction: false,
    });
    expect(read('-- migrate:down lock_timeout:0\nselect 1;', 'down').down?.options.lockTimeout).toBe(0);
    expect(read('drop table a;', 'down')).toMatchObject({ down: { sql: 'drop table a;' } });
  });

  test.each<[string, string, SqlFileKind?]>([
    ['-- migrate:up tranzaction:false\n', '1_a.sql:1:1: unknown option tranzaction'],
    ['\n-- migrate:up transaction:no\n', '1_a.sql:2:1: transaction:no is not a value of transaction'],
    ['-- migrate:up lock_timeout:5parsecs\n', '1_a.sql:1:1: lock_timeout:5parsecs is not a duration'],
    ['-- migrate:up lock_timeout: 5s\n', '1_a.sql:1:1: lock_timeout: is not a duration'],
    ['-- migrate:up lock_timeout:1s lock_timeout:2s\n', '1_a.sql:1:1: the option lock_timeout appears twice'],
    ['-- migrate:up\n-- migrate:sideways\n', '1_a.sql:2:1: migrate:sideways is not a marker'],
    ['-- migrate:up\nselect 1;\n-- migrate:up\n', '1_a.sql:3:1: a second migrate:up section'],
    ['-- note\nselect 1;\n-- migrate:up\n', '1_a.sql:2:1: SQL before the first marker belongs to no section'],
    ['-- migrate:down\nselect 1;', '1_a.sql:1:1: there is no -- migrate:up section'],
    ['-- migrate:up\n-- migrate:down\n', '1_a.sql:2:1: a migrate:down section in a .up.sql file', 'up'],
  ])('%j: %s', (text, message, kind) => {
    expect(problems(text, kind).slice(0, 1)).toEqual([message]);
  });
});

describe('engine 5: transactions', () => {
  test.each([
    ['BEGIN;', 'COMMIT;'],
    ['begin transaction;', 'end;'],
    ['START TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE ;', 'commit work'],
    ['begin work;', 'commit and no chain;'],
    ['-- é\n/* 🚀 */ BEGIN\n;', 'COMMIT -- done'],
  ])('a file wrapped in %j … %j is run without its wrapper, every offset as before', (begin, commit) => {
    const text = `${begin}\ncreate table a (b int);\nsavepoint s; rollback to s; rollback to savepoint s; rollback work to s; release s;\n${commit}\n`;
    const sql = read(text).up?.sql ?? '';
    expect(sql).toHaveLength(text.length);
    expect(sql.indexOf('create table')).toBe(text.indexOf('create table'));
    expect(sql.split('\n').length).toBe(text.split('\n').length);
    expect(sql).not.toMatch(/begin|commit;|start|end;/i);
  });

  // Prisma writes each change of an enum like this, and some people every statement.
  test.each([
    'begin; select 1; commit; begin; select 2; commit;',
    'select 1; begin; select 2; commit; select 3;',
    `begin; set local work_mem = '1MB'; select 1; commit;`,
    `begin; select 1; commit; begin work; set local work_mem = '1MB'; select 2; end;`,
    'begin isolation level serializable; select 1; commit; begin; select 2; commit;',
  ])('whole blocks of a file run in the one transaction of the file: %j', (text) => {
    const { up, problems: refused } = parseSqlFile('/m/1_a.sql', text);
    expect(refused).toEqual([]);
    expect(up?.sql).toHaveLength(text.length);
    expect(up?.sql).not.toMatch(/begin|commit|end/i);
    expect(up?.sql.match(/select \d/g)).toEqual(text.match(/select \d/g));
    expect(up?.options.transaction).toBe(true);
  });

  test.each([
    ['-- migrate:up transaction:false\nbegin; select 1; commit;', ['select 1;']],
    [
      'begin; select 1; select 2; commit; vacuum; begin; select 3; end;',
      ['select 1; select 2;', 'select 3;'],
    ],
  ])('outside a transaction each of its own blocks is one: %j', (text, blocks) => {
    const { up } = read(text);
    expect(up?.options.transaction).toBe(false);
    expect(up?.blocks?.map(([start, end]) => text.slice(start, end).trim())).toEqual(blocks);
    expect(up?.sql).not.toMatch(/begin|commit|end/i);
  });

  test('each section may have its own wrapper', () => {
    const { up, down } = read(
      '-- migrate:up\nbegin;\nselect 1;\ncommit;\n-- migrate:down\nbegin;\nselect 2;\ncommit;\n',
    );
    expect([up?.sql.trim(), down?.sql.trim()]).toEqual(['select 1;', 'select 2;']);
  });

  test.each([
    'select 1; commit; select 2;',
    'begin; select 1; commit; commit;',
    'begin; select 1; begin; select 2; commit;',
    'begin; select 1; commit; begin isolation level serializable; select 2; commit;',
    'begin; select 1; commit; begin; select 2; rollback;',
    `begin; set local work_mem = '1MB'; commit; select 2;`,
    'begin; select 1; commit; vacuum; begin;',
    'begin; select 1;',
    'select 1; end;',
    'begin; select 1; rollback;',
    'begin; select 1; commit and chain;',
    'select 1; abort;',
    `prepare transaction 'x';`,
    `commit prepared 'x';`,
    `rollback prepared 'x';`,
    'begin read only; select 1; commit;',
    'begin; set transaction isolation level serializable, read only; select 1; commit;',
    `set transaction snapshot '00000003-0000001B-1'; select 1;`,
    'set transaction isolation level serializable; vacuum;',
    'select 1; start transaction;',
    'begin; vacuum; commit; analyze a;',
    '-- migrate:up transaction:false\nbegin; vacuum; commit;',
    '-- migrate:up transaction:false\nbegin; select 1; commit; select 2; commit;',
    '-- migrate:up transaction:false\nbegin isolation level serializable; select 1; commit;',
    '-- migrate:up transaction:false\nselect 1; commit;',
  ])('refused, with line and remedy: %j', (text) => {
    const { problems } = parseSqlFile('/m/1_a.sql', text);
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) {
      expect(problem).toMatchObject({ code: 'MIGRATION_INVALID', subject: '/m/1_a.sql' });
      expect(problem.hint).toMatch(/remove/);
      expect(problem.excerpt?.lines.find((line) => line.failing)?.text).toBe(text.split('\n').at(-1));
    }
  });

  test.each([
    'prepare p as select 1; execute p; deallocate p;',
    `do $$ begin raise notice 'commit;'; end $$;`,
    'create procedure p() language plpgsql as $$ begin commit; end $$;',
    'create procedure p() begin atomic insert into a values (1); end;',
    'alter table a rename column "commit" to "begin"; -- commit;',
    `select 'commit; begin';`,
  ])('no transaction control: %j', (text) => {
    expect(read(text).up?.sql).toBe(text);
  });
});

test('histories 13: each mistake is told at its place, as often as it is made', () => {
  const text = `${'begin;\nselect 1;\n  commit;\n'.repeat(2)}begin;\n/* 🚀é */ \\i x\n`;
  expect(problems(text)).toEqual([
    '1_a.sql:1:1: begin would end or start a transaction in the middle of the migration',
    '1_a.sql:3:3: commit would end or start a transaction in the middle of the migration',
    '1_a.sql:4:1: begin would end or start a transaction in the middle of the migration',
    '1_a.sql:6:3: commit would end or start a transaction in the middle of the migration',
    '1_a.sql:7:1: begin would end or start a transaction in the middle of the migration',
    '1_a.sql:8:10: a psql command: \\i x',
  ]);
});

test('histories 13: a thousand mistakes of a file are told, the first of each kind, and how many more there are', () => {
  const told = problems(`${'\\i x\n'.repeat(5000)}select 1;\n${'commit;\n'.repeat(2)}-- @down\nselect 2;`);
  expect(told).toHaveLength(1002);
  expect(told[999]).toBe('1_a.sql:1000:1: a psql command: \\i x');
  expect(told.slice(1000)).toEqual([
    expect.stringMatching(/^1_a.sql:5002:1: commit /),
    expect.stringMatching(/^1_a.sql:5004:1: -- @down .* \(and 4001 more in this file\)$/),
  ]);
});

test.each([
  [
    '-- migrate:up transaction:false\nbegin;\nvacuum a;\ncommit;',
    'remove BEGIN and COMMIT: without them',
    '-- migrate:up transaction:false\nvacuum a;',
  ],
  ['begin;\nvacuum a;\ncommit;', 'remove BEGIN and COMMIT: without them', 'vacuum a;'],
  ['-- migrate:up transaction:true\nvacuum a;', 'remove transaction:true', '-- migrate:up\nvacuum a;'],
  [
    'begin isolation level serializable, read only;\nselect 1;\ncommit;',
    'remove READ ONLY',
    'begin isolation level serializable;\nselect 1;\ncommit;',
  ],
])('%j: who does what the hint says is finished', (text, hint, mended) => {
  const found = parseSqlFile('/m/1_a.sql', text).problems;
  expect(found.map((problem) => problem.hint)).toEqual([expect.stringContaining(hint)]);
  expect(parseSqlFile('/m/1_a.sql', mended).problems).toEqual([]);
});

describe('engine 9 and 41: what cannot run in a transaction', () => {
  test.each([
    'create index concurrently on a (b);',
    'create unique index concurrently if not exists i on a (b);',
    'drop index concurrently if exists i;',
    'reindex (verbose) table concurrently a;',
    'reindex (verbose, concurrently) index i;',
    'reindex database d;',
    'alter table only s.a detach partition s.b concurrently;',
    'vacuum;',
    'vacuum (full) a;',
    'create database d;',
    'drop database if exists d;',
    `create tablespace t location '/x';`,
    'alter system set work_mem = 1;',
    'cluster;',
    'discard all;',
    'alter database d set tablespace t;',
    "create subscription s connection 'x' publication p;",
    'alter subscription s refresh publication;',
  ])('%j needs no marker', (text) => {
    const { up } = read(`create table a (b int);\n${text}`);
    expect(up).toMatchObject({ options: { transaction: false } });
    expect(text.replace(/;$/, '').startsWith(up?.outsideFor?.replace('…', '') ?? '-')).toBe(true);
    const marked = read(`-- migrate:up transaction:false\n${text}`).up;
    expect(marked?.options).toEqual({ transaction: false });
    expect(marked?.outsideFor).toBeUndefined();
  });

  test.each([
    `alter type t add value 'x';`,
    'create index on a (concurrently);',
    'refresh materialized view concurrently v;',
    'cluster a using i;',
    'reindex table a;',
    'discard temp;',
    "create subscription s connection 'x' publication p with (connect = false);",
    'alter subscription s disable;',
    'alter database d set work_mem = 1;',
  ])('%j runs in one', (text) => {
    expect(read(text).up?.options).toEqual({ transaction: true });
  });
});

describe('engine 32: specific messages', () => {
  test('psql commands are refused with their line; those of pg_dump are blanked', () => {
    expect(problems('select 1;\n\\set x 1\nselect 2;\n\\i other.sql\n')).toEqual([
      '1_a.sql:2:1: a psql command: \\set x 1',
      '1_a.sql:4:1: a psql command: \\i other.sql',
    ]);
    const dump = '--\n\n\\restrict dGVzdA\n\nselect 1;\n\n\\unrestrict dGVzdA\n';
    expect(read(dump).up?.sql).toBe(dump.replaceAll(/\\.*/g, (line) => ' '.repeat(line.length)));
  });

  test('COPY … FROM STDIN, NUL, unclosed quotes: what, where, and what to do', () => {
    expect(problems('copy a from stdin;\n1\n\\.\n')).toEqual([
      '1_a.sql:1:1: COPY … FROM STDIN with its data in the file',
    ]);
    expect(problems("select 'a\0b';")).toEqual(['1_a.sql:1:10: a NUL byte']);
    expect(problems("select 1;\n  select 'it;\n")).toEqual(["1_a.sql:2:10: this string has no closing '"]);
    expect(problems('select $x$ a $y$')).toEqual(['1_a.sql:1:8: this dollar quote is never closed']);
    expect(problems('create table a (b int;\nselect 1;')).toEqual([
      '1_a.sql:1:16: this parenthesis is never closed',
    ]);
  });

  test('engine 31: lines and columns are right for CRLF, accents and emoji', () => {
    const text = "select 'é';\r\nselect '🚀🚀', $a$ x";
    const [problem] = parseSqlFile('/m/1_a.sql', text).problems;
    expect(problem?.excerpt).toMatchObject({ file: '/m/1_a.sql', line: 2, column: 14 });
  });
});

describe('engine 43: markers of other tools, and ours in another spelling', () => {
  const looks = /looks like a marker/;
  const down = (marker: string) => `create table audit (i int);\n${marker}\ndrop table audit;\n`;

  test.each([
    '-- Down Migration',
    '-- +Goose Down',
    ' -- +goose Down',
    '-- +goose Dwon',
    '-- + migrate Down',
    '-- +migrate down',
    '--+migrate Down',
    '-- create above / drop below',
    '-- Migrate:Down',
    '-- MIGRATE:DOWN',
    '-- @down',
    '-- DOWN',
    '-- rambler down',
    '-- !Downs',
    '--down',
    '-- Down:',
    '-- ===== DOWN =====',
    '-- ━━━ Down ━━━',
    '-- #down',
    '-- [undo]',
    '-- //@UNDO',
    '-- Rollback',
    '-- Reverse',
    '-- rollback script',
    '-- Revert:',
    '-- downgrade',
    '--- !Downs',
    '-- # --- !Downs',
    '-- migrate: down',
    '-- migrate :down',
    '-- migrate down',
    '-- migrate-down',
    '-- migrate_down',
    '-- migrateDown',
    '-- Migration: Down',
    '-- migrations:down',
    '-- migration:down transaction:false',
    '-- Migrate:Down transaction:false lock_timeout:5s',
    '--\u00a0migrate:down',
    '-- migrate：down',
    '-- dbmate:down',
    '-- mpm-migrate down',
    '-- up / down',
    '-- change',
    '/* down */',
    '/*\n * DOWN\n */',
    'select 1; -- migrate:down',
    '/* x */ -- migrate:down',
    '--liquibase formatted sql',
  ])('%j is refused, with its line and what to write', (marker) => {
    const [problem, ...others] = parseSqlFile('/m/1_a.sql', down(marker)).problems;
    expect(problem).toMatchObject({ code: 'MIGRATION_INVALID', message: expect.stringMatching(looks) });
    expect(problem?.excerpt?.line).toBe(2);
    expect(problem?.hint).toMatch(
      /^write (-- (migrate:|\+goose |\+migrate |)(Up|up|down|Down)|it as the first line)/,
    );
    expect(others).toEqual([]);
    // Within an explicit section as well.
    const text = `-- migrate:up\nselect 1;\n${marker}\nselect 2;\n-- migrate:down\n`;
    expect(problems(text)).toEqual([expect.stringMatching(looks)]);
  });

  test.each([
    '-- +goose Upp',
    '--+migrate Up',
    '--!Ups',
    '-- rambler up',
    '-- #up',
    '-- UP',
    '-- Migrate:Up',
  ])('%j is refused too', (marker) => {
    const text = `${marker}\ncreate table audit (i int);\n`;
    expect(problems(text)).toEqual([expect.stringMatching(looks)]);
  });

  test('ours may stand without a space, and with more of them', () => {
    expect(read('--migrate:up\nselect 1;\n  --   migrate:down  \nselect 2;')).toMatchObject({
      up: { sql: '\nselect 1;\n  ' },
      down: { sql: '\nselect 2;' },
    });
  });

  test('what the remedy says is right: written so, the file is read', () => {
    const text = down('-- @down');
    expect(parseSqlFile('/m/1_a.sql', text).problems[0]?.hint).toMatch(
      /^write -- migrate:down on a line of its own/,
    );
    const mended = `-- migrate:up\n${text.replace('-- @down', '-- migrate:down')}`;
    expect(read(mended)).toMatchObject({ down: { sql: '\ndrop table audit;\n' } });
    const [stray] = parseSqlFile('/m/1_a.sql', 'select 1;\n-- migrate:down\nselect 2;').problems;
    expect(stray?.hint).toBe('write -- migrate:up above it');
    const [late] = parseSqlFile('/m/1_a.sql', 'select 1;\n-- migrate:down\n-- migrate:up\n').problems;
    expect(late?.hint).toBe('move it below -- migrate:up');
  });

  test('a heading of the direction that the section or the half of a pair has is a comment', () => {
    read('-- Down\ndrop table a;', 'down');
    read('-- Rollback\n-- undo\ndrop table a;', 'down');
    read('-- Up Migration\ncreate table a (i int);', 'up');
    read('-- migrate:up\n-- UP\nselect 1;\n-- migrate:down\n-- rollback\nselect 2;');
    expect(problems('create table a (i int);\n-- Down\ndrop table a;', 'up')).toEqual([
      expect.stringMatching(looks),
    ]);
    expect(problems('-- @Down\ndrop table a;', 'down')).toEqual([expect.stringMatching(looks)]);
    const [problem] = parseSqlFile('/m/1_a.up.sql', 'select 1;\n-- DOWN\nselect 2;', 'up').problems;
    expect(problem?.hint).toMatch(/^move what follows to the \.down\.sql file/);
  });

  test('a heading with nothing below it but comments is one', () => {
    read('create table a (i int);\n-- ======\n-- ROLLBACK\n-- ======\n-- drop table a;\n');
    read('-- migrate:up\nselect 1;\n-- Rollback\n-- select 2;\n-- migrate:down\nselect 2;');
    expect(problems('select 1;\n-- Rollback\n-- drop table a;\nselect 2;')).toEqual([
      expect.stringMatching(looks),
    ]);
    expect(problems('select 1\n-- Rollback\n, 2;')).toEqual([expect.stringMatching(looks)]);
    expect(problems('select 1;\n-- Migrate:Down\n')).toEqual([expect.stringMatching(looks)]);
  });

  test.each([
    '-- down payment table',
    '-- UPGRADE',
    '-- Down payments',
    '-- roll back to the old prices',
    '-- rollback the change when it fails',
    '-- undo the damage of 2024',
    '-- Migration 12',
    '-- migrate',
    '-- Migrate: old rows to the new table',
    '-- migrate: old rows to the new table',
    '-- migrate the down payments',
    '-- Migrate up to 20 rows',
    '-- changes',
    '-- Change 1',
    '-- change the type of amount',
    '-- set up',
    '-- up-to-date prices',
    '-- clean-up',
    '-- backup',
    '-- create table',
    '-- drop',
    '-- section 2',
    '-- SQL',
    '-- Name: up; Type: TABLE; Schema: public; Owner: -',
    '-- ------------',
    '--',
    '-- play',
    '-- upsert',
    '-- markdown',
    '-- countdown',
    '-- Tern',
    '/* drop it all */',
    '/* migration of the tariffs */',
    'select 1; -- down',
    '-- abwärts',
    '-- Update',
  ])('%j is an ordinary comment', (comment) => {
    read(`${comment}\nselect 1;\n${comment}\nselect 2;\n${comment}`);
  });

  test('strings, bodies and column lists may hold such lines', () => {
    read("select '\n-- down\n';");
    read('create function f() returns void language sql as $$\n-- down\n-- +goose Down\nselect 1 $$;');
    read('create table elevator (\n  -- up\n  speed_up int,\n  -- down\n  speed_down int\n);');
    read('create procedure p() begin atomic\n-- undo\ninsert into a values (1); end;');
  });
});
