import { expect, test } from 'vitest';
import { databaseNameProblem } from '../../src/postgres/database.ts';
import { checkCompanyName, databaseNames, slugOf } from '../../src/tenants/name.ts';

test.each([
  ['Acme Ltd', 'acme_ltd'],
  ['"; drop database x; --', 'drop_database_x'],
  ['../../etc', 'etc'],
  ['Électricité du Nord-Kivu & Fils', 'electricite_du_nord_kivu_and_fils'],
  ['Straße Łódź Ørsted', 'strasse_lodz_orsted'],
  ['42', 'tenant_42'],
  ['3 Suns', 'tenant_3_suns'],
  ['⚡🔋', 'tenant'],
  ['株式会社', 'tenant'],
  ['__x__', 'x'],
  ['Ｆｕｌｌ', 'full'],
])('fleet 14: %j becomes the database %s', (name, database) => {
  expect(slugOf(name)).toBe(database);
});

test('fleet 14: 300 characters fit, with room for a number', () => {
  const slug = slugOf('Very Long Name '.repeat(20));
  expect(databaseNameProblem(`${slug}_99999`)).toBeUndefined();
  expect(slug.length).toBeGreaterThan(40);
});

test('fleet 14: the name is unique, never reserved, and can be a folder everywhere', () => {
  const first = (name: string, count: number, central?: string): string[] => {
    const names = databaseNames(name, central);
    return Array.from({ length: count }, () => names.next().value);
  };
  expect(first('Acme', 3)).toEqual(['acme', 'acme_2', 'acme_3']);
  expect(first('Postgres', 1)).toEqual(['postgres_2']);
  expect(first('template1', 1)).toEqual(['template1_2']);
  expect(first('micro power manager', 2, 'micro_power_manager')).toEqual([
    'micro_power_manager_2',
    'micro_power_manager_3',
  ]);
  expect(first('Con', 1)).toEqual(['con_2']);
});

test.each(['', '  ', 'a\0b', 'a\ud800'])('a company cannot be called %j', (name) => {
  expect(() => checkCompanyName(name)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test.each([
  ['', 'it is empty'],
  ['a'.repeat(64), "it has 64 bytes, and PostgreSQL's limit is 63"],
  ['é'.repeat(32), "it has 64 bytes, and PostgreSQL's limit is 63"],
  ['a\0', 'it contains a NUL character'],
  ['template0', 'PostgreSQL reserves it'],
  ['central', 'it is the central database'],
])('a database cannot be called %j', (name, problem) => {
  expect(databaseNameProblem(name, 'central')).toBe(problem);
});

test.each(['a'.repeat(63), 'With Space', 'Dot.ted', 'qu"ote', "apo'strophe", '🔋', 'UPPER', 'é'.repeat(31)])(
  'a database can be called %j',
  (name) => {
    expect(databaseNameProblem(name, 'central')).toBeUndefined();
  },
);
