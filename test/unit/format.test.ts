import { expect, test } from 'vitest';
import {
  clock,
  count,
  duration,
  harmless,
  inWords,
  joinParts,
  nameList,
  oneLine,
  plural,
  table,
  truncate,
  widthOf,
  wrapLines,
} from '../../src/ui/format.ts';

test('durations', () => {
  const shown = [0, 49, 300, 17_349, 59_949, 59_950, 60_000, 125_000, 3_599_400, 3_600_000, 3_840_000];
  expect(shown.map(duration)).toEqual([
    '0.0s',
    '0.0s',
    '0.3s',
    '17.3s',
    '59.9s',
    '1m 00s',
    '1m 00s',
    '2m 05s',
    '59m 59s',
    '1h 00m',
    '1h 04m',
  ]);
  expect([999, 59_999, 60_000, 125_900].map(clock)).toEqual(['0s', '59s', '1m 00s', '2m 05s']);
});

test('numbers and plurals', () => {
  expect([0, 999, 1000, 1_234_567].map(count)).toEqual(['0', '999', '1,000', '1,234,567']);
  expect([0, 1, 2, 1000].map((number) => plural(number, 'tenant'))).toEqual([
    '0 tenants',
    '1 tenant',
    '2 tenants',
    '1,000 tenants',
  ]);
  expect([2, 10, 11, 1200].map(inWords)).toEqual(['two', 'ten', '11', '1,200']);
});

test('five names and how many more', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  expect(nameList(['a'])).toBe('a');
  expect(nameList(['a', 'b'])).toBe('a and b');
  expect(nameList(names.slice(0, 5))).toBe('a, b, c, d and e');
  expect(nameList(names)).toBe('a, b, c, d, e and 1 more');
  expect(nameList(names, 412)).toBe('a, b, c, d, e and 407 more');
});

test('width counts columns: wide characters, emoji, accents, escape codes', () => {
  expect(widthOf('abc')).toBe(3);
  expect(widthOf('Énergie')).toBe(7);
  expect(widthOf('E\u0301nergie')).toBe(7);
  expect(widthOf('太陽光')).toBe(6);
  expect(widthOf('🔌')).toBe(2);
  expect(widthOf('👩‍👩‍👧')).toBe(2);
  expect(widthOf('\u001b[31mred\u001b[39m')).toBe(3);
});

test('truncation never exceeds the columns and never cuts a character in two', () => {
  expect(truncate('kivu-grid', 9)).toBe('kivu-grid');
  expect(truncate('kivu-grid', 8)).toBe('kivu-gr…');
  expect(truncate('太陽光発電', 6)).toBe('太陽…');
  expect(truncate('👩‍👩‍👧👩‍👩‍👧', 3)).toBe('👩‍👩‍👧…');
  expect(truncate('kivu-grid', 6, '...')).toBe('kiv...');
  expect(truncate('kivu-grid', 2, '...')).toBe('..');
});

test('text from outside cannot move the cursor or fake a line', () => {
  expect(oneLine('a\u001b[2J\nb\tc\u0007')).toBe('a b c');
  expect(harmless('a\r\n\u001b]0;title\u0007\tb\u0000')).toBe('a\n  b');
});

test('a table gives way in its flexible columns, the last one first', () => {
  const columns = [
    { title: 'TENANT', flexible: true },
    { title: 'PENDING', align: 'right' as const },
    { title: 'HEAD', flexible: true },
  ];
  const rows = [
    ['kivu-grid', '3', '20260801101500_add_tariffs'],
    ['太陽光', '0', '1_a'],
  ];
  expect(table(columns, rows, { width: 80 })).toEqual([
    'TENANT     PENDING  HEAD',
    'kivu-grid        3  20260801101500_add_tariffs',
    '太陽光           0  1_a',
  ]);
  expect(table(columns, rows, { width: 40 })[1]).toBe('kivu-grid        3  20260801101500_add_…');
});

test('a table that is too wide leaves columns out rather than break its lines', () => {
  const columns = [
    { title: 'RUN' },
    { title: 'SELECTION', flexible: true, least: 12, spare: 1 },
    { title: 'BY', flexible: true, spare: 2 },
  ];
  const rows = [['184', '--label tier=gold', 'postgres@build-1']];
  expect(table(columns, rows, { width: 80 })).toEqual([
    'RUN  SELECTION          BY',
    '184  --label tier=gold  postgres@build-1',
  ]);
  expect(table(columns, rows, { width: 30 })).toEqual([
    'RUN  SELECTION        BY',
    '184  --label tier=g…  postgre…',
  ]);
  expect(table(columns, rows, { width: 20 })).toEqual(['RUN  SELECTION', '184  --label tier=g…']);
  expect(table(columns, rows, { width: 12 })).toEqual(['RUN', '184']);
});

test('long lines break at spaces, parts between parts', () => {
  expect(wrapLines(['one two three', '', 'a-word-that-is-too-long'], 8)).toEqual([
    'one two',
    'three',
    '',
    'a-word-that-is-too-long',
  ]);
  expect(joinParts(['994 migrated', '4 current', '2 failed'], 80)).toBe(
    '994 migrated   4 current   2 failed',
  );
  expect(joinParts(['994 migrated', '4 current', '2 failed'], 26)).toBe(
    '994 migrated   4 current\n  2 failed',
  );
});
