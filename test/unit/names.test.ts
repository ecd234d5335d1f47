import { describe, expect, test } from 'vitest';
import {
  compareNames,
  compareToVersion,
  isCalled,
  type Order,
  parseFileName,
  versionKey,
  versionOf,
} from '../../src/engine/source/name.ts';
import { nextName } from '../../src/engine/source/next-name.ts';
import { clashesOf, strayOf } from '../../src/engine/source/name-rules.ts';

/** The same for each run of a test: numbers from 0 to below `most`. */
function random(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
}

function shuffled<T>(list: readonly T[], seed: number): T[] {
  const next = random(seed);
  return list
    .map((each) => [next(1e6), each] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, each]) => each);
}

/** Each is a folder in its order. */
const FOLDERS: [what: string, names: string[], order?: Order][] = [
  ['numbers', ['1_a', '002_b', '9_x', '10_x', '0042_y', '100_z']],
  ['Flyway', ['V1__a', 'V1_2__b', 'V1.10__c', 'V2__d']],
  ['Flyway with missing parts', ['V1__a', 'V1.0.1__b', 'V1.1__c', 'V01.1.1__d', 'V1_2_0_4__e', 'V10__f']],
  ['numbered sub-folders', ['1/01_a', '1/2_b', '1/10_c', '2/01_x', '2/02_a', '10/1_a']],
  ['numbered sub-folders with words', ['1_users/02_a', '2_auth/01_b', '10_x/01_a']],
  ['dashed dates', ['2023-03-30-223252-x', '2023-03-30-223253-a', '2023-04-01-000000-a']],
  [
    'dashed and plain dates in one folder',
    ['20140924113530_x', '2017-10-08-193512_x', '20171009000000_a', '2018-01-01_b'],
  ],
  [
    'Laravel',
    [
      '0001_01_01_000000_create_users_table',
      '0001_01_01_000001_create_cache_table',
      '2014_10_12_000000_x',
      '2014_10_12_100000_x',
      '2022_09_20_0000000_create_x',
      '2022_09_21_000000_a',
      '2022_14_12_create_x',
      '2023_01_01_000000_a',
    ],
  ],
  [
    'ISO times of one day',
    ['20230608T155101190Z-a', '20230608T155101190Z-b', '20230608T155101191Z-a', '20230608T160000000Z-a'],
  ],
  ['names in an index', ['_20230309T045948368Z', '_20230309T045948369Z', '_20230310T000000000Z']],
  [
    'plain runs of 8, 12, 14 and 17 digits',
    ['20230101_b', '202301011200_a', '20230101120001_a', '20230101120001500_a', '20230102_a'],
  ],
  ['a day and a time apart', ['20230608_090000_b', '20230608100000_x', '20230608_155101_a']],
  ['a day and a number', ['2023-03-30-1_a', '2023-03-30-2_a', '2023-03-30-10_a']],
  ['numbers before dates', ['9_x', '10_x', '1699999999999_epoch', '20230101000000_a']],
  ['slugs alone', ['a', 'add_2', 'add_10', 'b', 'init']],
  ['slugs of one time', ['20230101000000_a2', '20230101000000_a10', '20230101000000_b']],
  ['slugs by code unit', ['20230101000000_B', '20230101000000_a', '20230101000000_ä']],
  ['names without a number, then those with one', ['schema', '1_a', '20230101_a']],
  ["Kysely's own", ['10_b', '1_a', '2_c'], 'kysely'],
  ['text', ['10_b', '1_a', '2_c', '_x'], 'text'],
  ['text by code unit', ['1_B', '1_a', '1_c'], 'text'],
];

describe('histories 3: the order of names', () => {
  test.each(FOLDERS)('%s', (_, names, order = 'version') => {
    for (const seed of [1, 2, 3])
      expect(shuffled(names, seed).sort((a, b) => compareNames(a, b, order))).toEqual(names);
  });

  test.each([
    ['0042_x', '0042', 'x'],
    ['V1_2__b', '1.2', 'b'],
    ['V1.10__c', '1.10', 'c'],
    ['V1_0__c', '1', 'c'],
    ['2/01_x', '2.1', '/x'],
    ['2023-03-30-223252-x', '20230330223252', 'x'],
    ['2014_10_12_000000_x', '20141012000000', 'x'],
    ['2022_14_12_create_x', '20221412', 'create_x'],
    ['2022_09_20_0000000_create_x', '202209200000000', 'create_x'],
    ['20230608T155101190Z-x', '20230608155101190', 'x'],
    ['_20230309T045948368Z', '20230309045948368', ''],
    ['20230309_2fa', '20230309', '2fa'],
    ['1012_10_12_x', '1012', '10_12_x'],
    ['init', '', 'init'],
    ['sub/1_x', '', 'sub/1_x'],
  ])('%s has the version %s', (name, version, slug) => {
    expect(versionOf(name)).toBe(version);
    expect(parseFileName(`${name}.sql`)).toEqual({ name, version, slug, extension: 'sql' });
  });

  test('is total over any names', () => {
    const next = random(7);
    const pieces =
      '0 1 01 10 007 2 19 20 2023 20230330 202303301200 20230330120000 20230330120000123 2023-03-30 2014_10_12 0001_01_01_000000 - _ . T Z V __ / a B ä é 😀 x1 x10 x01 223252'.split(
        ' ',
      );
    const names = Array.from({ length: 400 }, () =>
      Array.from({ length: 1 + next(5) }, () => pieces[next(pieces.length)]).join(''),
    );
    const distinct = [...new Set(names)];
    for (const order of ['version', 'kysely', 'text'] as const) {
      const compare = (a: string, b: string) => Math.sign(compareNames(a, b, order));
      const sorted = distinct.toSorted(compare);
      // Every pair stands as it was sorted: antisymmetric, transitive, and no two are equal.
      const wrong = sorted.flatMap((a, index) =>
        sorted.flatMap((b, other) =>
          compare(a, b) === Math.sign(index - other) ? [] : [`${order}: ${a} and ${b}`],
        ),
      );
      expect(wrong).toEqual([]);
    }
  });
});

describe('histories 3: a version as it is typed', () => {
  test.each([
    ['42', '0042_x'],
    ['0042', '42_x'],
    ['1.2', 'V1_2__x'],
    ['V1_2', 'V1.2__x'],
    ['V1.2', 'V1_2_0__x'],
    ['20230330', 'V20230330__x'],
    ['2.1', '2/01_x'],
    ['2/1', '2/01_x'],
    ['2023-03-30-223252', '20230330223252_x'],
    ['20230330223252', '2023-03-30-223252-x'],
    ['20230608T155101190Z', '20230608T155101190Z-x'],
    ['2014_10_12_000000', '2014_10_12_000000_x'],
    ['init', 'init'],
  ])('%s means %s', (typed, name) => {
    expect(isCalled(name, typed)).toBe(true);
  });

  test.each([
    ['4', '42_x'],
    ['1.2', 'V1_20__x'],
    ['1', '1_users/2_x'],
    ['20230330', '2023-03-30-223252-x'],
    ['20230330', '2023033_x'],
    ['x', '1_x'],
    ['', 'init'],
    ['0', 'init'],
  ])('%s does not mean %s', (typed, name) => {
    expect(isCalled(name, typed)).toBe(false);
  });

  test('compares with a name', () => {
    expect(compareToVersion('9_x', '10')).toBe(-1);
    expect(compareToVersion('V1_10__x', '1.2')).toBe(1);
    expect(compareToVersion('2017-10-08-193512_x', '20140924113530')).toBe(1);
    expect(compareToVersion('init', '1')).toBeUndefined();
    expect(compareToVersion('1_x', 'init')).toBeUndefined();
  });
});

const clashes = (names: string[], sameVersion: string[] = []) =>
  clashesOf(
    names.map((name) => ({ name })),
    { sameVersion },
    ({ name }) => `${name}.sql`,
  ).map(({ message, hint }) => `${message}: ${hint}`);

describe('histories 4: equal versions', () => {
  test.each([
    [['20230608T155101190Z-a', '20230608T155101190Z-b', '20230608T155101190Z-c']],
    [['20230101120000_a', '20230101120000_b']],
    [['2023-01-01-a', '20230101_b', '20230101000000_c']],
    [['1699999999_a', '1699999999_b']],
    [['a', 'b']],
  ])('of eight digits and more are ordered by slug: %j', (names) => {
    expect(clashes(names)).toEqual([]);
  });

  test.each([
    [['0042_a', '42_b'], '42'],
    [['0000042_a', '00000042_b'], '42'],
    [['1/2_a', '01/2_b'], '1.2'],
  ])('of fewer are an error: %j', ([a = '', b = ''], version) => {
    const setting = `migrations: { sameVersion: ['${a}', '${b}'] } in the configuration`;
    expect(clashes([a, b])).toEqual([
      `${a}.sql and ${b}.sql have the same version, ${version}: rename the one that isn't applied anywhere yet; if both are, set ${setting}`,
    ]);
    expect(clashes([a, b], [a])).toHaveLength(1);
    expect(clashes([a, b], [a, b])).toEqual([]);
  });

  test("are always an error of Flyway's", () => {
    const names = ['V20230101120000__a', 'V20230101120000__b'];
    expect(clashes(names, names)).toEqual([
      "V20230101120000__a.sql and V20230101120000__b.sql have the same version, 20230101120000: give another number to the one that isn't applied anywhere yet",
    ]);
    expect(clashes(['V1__a', 'V1_0__b'])).toHaveLength(1);
  });

  test('and equal names are an error whatever is listed', () => {
    expect(clashes(['1_a', '1_a'], ['1_a'])).toHaveLength(1);
    expect(clashes(['20230101120000_a', '20230101120000_b', '20230101120000_a'])).toHaveLength(1);
    expect(clashes(['a', 'a'])).toHaveLength(1);
  });
});

describe('histories 4: a name without a number', () => {
  const strays = (names: string[], unnumbered: string[] = [], known: string[] = []) =>
    strayOf(
      names.map((name) => ({ name, file: `${name}.sql` })),
      { unnumbered },
      (name) => known.includes(name),
    ).map(({ message, hint }) => `${message}: ${hint}`);

  test('is an error where others have one', () => {
    expect(strays(['1_a', 'schema', 'V2__b'])).toEqual([
      "schema.sql has no number, and other files here have one: move what isn't a migration to another folder; give what is one a number, or set migrations: { unnumbered: ['schema'] } in the configuration",
    ]);
    expect(strays(['1_a', 'schema'], ['schema'])).toEqual([]);
    expect(strays(['1_a', 'schema'], [], ['schema'])).toEqual([]);
    expect(strays(['a', 'schema'])).toEqual([]);
  });
});

test('a new migration is named as the last one is, and is behind all others', () => {
  const next = (names: string[], elsewhere: string[] = []) =>
    nextName('x', { names, elsewhere, order: 'version', now: new Date('2026-03-01T12:00:59Z') });
  expect(next([])).toBe('20260301120059_x');
  expect(next(['20260301120059_a'])).toBe('20260301120100_x');
  expect(next(['2026-12-31_a'])).toBe('2027-01-01_x');
  expect(next(['2026-03-01_a'])).toBe('2026-03-01_x');
  expect(next(['20991231235959_a'])).toBe('20991231235960_x');
  expect(next(['2026_14_12_000000_a'])).toBe('2027_02_12_000001_x');
  expect(next([], ['2026-03-01-120059-a', '20260301120100_b'])).toBe('20260301120101_x');
  expect(versionKey('2026-03-01_a')).toBe(versionKey('20260301000000_b'));
});
