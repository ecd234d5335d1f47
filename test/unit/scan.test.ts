import { loadModule, parseSync } from 'libpg-query';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectLinear } from '../helpers/effort.ts';
import { scan } from '../../src/engine/sql/scan.ts';

beforeAll(loadModule);

/** What PostgreSQL's own parser makes of a text, without space and comments around each statement. */
function parsed(text: string): string[] {
  if (text === '') return [];
  const bytes = Buffer.from(text);
  return (parseSync(text).stmts ?? []).map(({ stmt_location: from = 0, stmt_len: length }) => {
    const raw = bytes.subarray(from, length ? from + length : undefined).toString();
    const { statements } = scan(raw);
    return raw.slice(statements[0]?.start, statements.at(-1)?.end);
  });
}

function scanned(text: string): string[] {
  return scan(text).statements.map(({ start, end }) => text.slice(start, end));
}

const PIECES = [
  `select 1`,
  `select 'a;b', 'it''s; here', ''';'`,
  `select 'back\\', ';'`,
  `select E'it\\'s; \\\\', e'\\\\';select E'a'  \n  'c\\';d'`,
  `select U&'d\\0061t;a', U&"d\\0061t;a" from (select 1 as "data;a") x`,
  `select b'01', x'1F', n'a;b'`,
  `select "a;""b" from (select 1 as "a;""b") y`,
  `select $$a;b$$, $t$ $$ ; $x$ ; $t$, $_é1$;$_é1$`,
  `select a$b$c from (select 1 as a$b$c) z where 1 = 1`,
  `prepare p as select $1::int + $2::int`,
  `select 1 -- a; 'b\n + 2`,
  `select /* a; /* 'nested; */ " */ 1 /**/ + /*;*/ 2`,
  `select 1 /*/ still; a comment */`,
  `select 1 - -1, 2 --1;\n * 3, 4 /-- ;\n 5`,
  `select (1);`,
  `;;  ;select 2`,
  `create rule r as on insert to t do also (insert into u values (1); delete from v where ';' = ')';)`,
  `create function f() returns int language sql begin atomic select 1; select 2; end`,
  `create or replace function f(a int default (select 1)) returns int language sql begin atomic
     select case when a > 1 then case a when 2 then 3 end else 4 end; select (case when true then 1 end); end`,
  `create procedure p() language sql begin atomic insert into t values (1); end; select 1`,
  `create or replace procedure p() begin atomic end; select 3`,
  `create function f() returns trigger language plpgsql as $body$ begin if 1 = 1 then return new; end if; end $body$`,
  `create function "begin"() returns int language sql return 1; select 1`,
  `create table "end;" (a text default 'x;', check (a <> ';'))`,
  `begin; insert into t values ('é;ü', '🚀;'); commit`,
  `select case when 1 = 1 then 2 end; select 3`,
  `do $$ begin perform 1; end $$`,
  `comment on table t is 'what; else'`,
  `select 1e10, 0x1F, 1_000, .5, 1.`,
  `select 'a'\n'b;c'\n\n'd'`,
  `select E'a\\''\n\n'b\\';c'`,
  `create view v as select 1 as a, ';' as b;\r\ncreate view w as select 2;\r\n`,
  `select a[1:2], b::text, c ->> ';', d @> '{";"}' from (select '{1,2}'::int[] a, 1 b, '{}'::json c, '{}'::jsonb d) q`,
  `\n\n-- only a comment\n/* and; another */\n`,
  ``,
];

describe('statements', () => {
  test.each(PIECES)('are those of PostgreSQL: %j', (piece) => {
    expect(scan(piece).problems).toEqual([]);
    expect(scanned(piece)).toEqual(parsed(piece));
  });

  test('are those of PostgreSQL however they are put together', () => {
    let seed = 42;
    const random = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
    const glue = [';', ';\n', ' ; -- x;\n', ';/* ; */', ';\r\n\r\n', ';;\n'];
    for (let round = 0; round < 300; round++) {
      const parts = Array.from({ length: 2 + random(6) }, () => PIECES[random(PIECES.length)] ?? '');
      const text = parts.map((part) => `${part}\n${glue[random(glue.length)]}`).join('');
      expect(scanned(text)).toEqual(parsed(text));
    }
  });

  test('may have comments between the parts of a string, as PostgreSQL up to 15 has it', () => {
    expect(scanned(`select E'a' -- b';\n  -- c\n 'd\\';e';select 2`)).toHaveLength(2);
  });

  test('carry their first bare words, and where the next one may begin', () => {
    const text = '  /* x */ Create UNIQUE Index (a) concurrently "Not" i on t (b); ;drop table a.b';
    const [first, second] = scan(text).statements;
    expect(first?.words).toEqual(['create', 'unique', 'index', 'concurrently', 'i', 'on', 't']);
    expect(text.slice(first?.start, first?.next)).toMatch(/^Create.*\(b\);$/);
    expect(second?.words).toEqual(['drop', 'table', 'a', 'b']);
    expect(second?.next).toBe(text.length);
  });
});

describe('problems', () => {
  test.each([
    [`select 1; select 'abc`, 'quote', 17],
    [`select E'abc\\'`, 'quote', 8],
    [`select "abc`, 'identifier', 7],
    [`select $a$ abc $b$`, 'dollar-quote', 7],
    [`select 1; /* a /* b */`, 'comment', 10],
    [`select (1; select 2`, 'parenthesis', 7],
    [`select 1;\n\\set x 1\nselect 2`, 'meta-command', 10],
    [`select '\0'`, 'nul', 8],
  ])('%j: %s', (text, kind, offset) => {
    expect(scan(text).problems).toMatchObject([{ kind, offset }]);
  });

  test('engine 32: the data of COPY … FROM STDIN is not taken for SQL', () => {
    const text = `create table t (a int);\ncopy public.t (a) from stdin;\n1\n\\N\nit's; ("\n\\.\n\nselect 1;\n`;
    const { problems, statements } = scan(text);
    expect(problems.map(({ kind, offset }) => [kind, offset])).toEqual([['copy-data', 24]]);
    expect(statements).toHaveLength(3);
    expect(statements[2]?.words).toEqual(['select']);
  });

  test('COPY … FROM STDIN without data, without a semicolon', () => {
    expect(scan('select 1;\ncopy t from stdin').problems).toMatchObject([{ kind: 'copy-data', offset: 10 }]);
    expect(scan('copy t from stdin\n-- migrate:down\nselect 1;').problems).toMatchObject([
      { kind: 'copy-data', offset: 0 },
    ]);
  });

  test('COPY from elsewhere is a statement like others', () => {
    expect(scan(`copy t from '/tmp/stdin';\nselect 1`).problems).toEqual([]);
    expect(scan(`copy t to stdout;\nselect 1`).problems).toEqual([]);
  });
});

test('markers are comments on a line of their own, never text within quotes', () => {
  const text = `-- migrate:up a:b\ncreate function f() returns text language sql as $$\n-- migrate:down\nselect 'x' $$\n  --migrate:down\nselect '\n-- migrate:up' -- migrate:up\n`;
  const { markers, statements } = scan(text);
  expect(markers.map((marker) => marker.text)).toEqual(['-- migrate:up a:b', '--migrate:down']);
  // A section ends the statement in front of it, with or without a semicolon.
  expect(statements).toHaveLength(2);
});

test.each<[what: string, make: (size: number) => string]>([
  [
    'statements',
    (size) =>
      `insert into a (b, c) values (1, 'it''s a "thing"');\ncreate function f() returns int language sql as $$ select 1; $$;\n`.repeat(
        size / 100,
      ),
  ],
  ['doubled quotes', (size) => `select '${"''".repeat(size)}'`],
  ['parentheses', (size) => '('.repeat(size)],
  ['parameters', (size) => '$a '.repeat(size)],
  ['comments', (size) => '/*'.repeat(size)],
  ['escape strings', (size) => "E'' ".repeat(size)],
  ['continued strings', (size) => `E''\n${' \n'.repeat(size)}x`],
  ['markers', (size) => '-- migrate: \n'.repeat(size / 2)],
  ['blocks', (size) => 'begin case end '.repeat(size / 2)],
])('no input is quadratic: %s', (_, make) => {
  expectLinear((size) => void scan(make(size)), 300_000);
});
