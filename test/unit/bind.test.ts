import { expect, test } from 'vitest';
import { bind } from '../../src/postgres/bind.ts';

test('values stand where their numbers stood, as literals', () => {
  const sql = 'select $1, $2::int, any($3::text[]), $4 from t limit $10';
  const values = ["it's \\", 7, ['a', 'b"\\', 'null', null], null, 5, 6, 7, 8, 9, 'ten'];
  expect(bind(sql, values)).toBe(
    String.raw`select  e'it''s \\', '7'::int, any( e'{"a","b\\"\\\\","null",NULL}'::text[]), null from t limit 'ten'`,
  );
});

test('what only looks like a place is left', () => {
  const sql = String.raw`select '$1', e'\'$1', "$1", a$1, $$ $1 $$, $x$ $1 $y$ $x$ -- $1
/* $1 */, $1`;
  expect(bind(sql, ['v'])).toBe(sql.replace(/\$1$/, "'v'"));
});

test('a NUL is refused as the server refuses it', () => {
  expect(() => bind('select $1', ['a\0b'])).toThrow(expect.objectContaining({ code: '22021' }));
});
