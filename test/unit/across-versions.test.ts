import { expect, test } from 'vitest';
import { compareCatalogs } from '../../src/engine/catalog/compare.ts';
import type { CatalogObject } from '../../src/engine/catalog/query.ts';

const object = (
  kind: CatalogObject['kind'],
  facts: CatalogObject['facts'],
  parent = 'meters',
): CatalogObject => ({ kind, schema: 'public', parent, name: 'x', facts, oid: 1 });

/** What is said of one that was built, and is found, on different versions of PostgreSQL. */
function said(kind: CatalogObject['kind'], built: CatalogObject['facts'], found: CatalogObject['facts']) {
  const of = (facts: CatalogObject['facts']) => ({ database: 'a', objects: [object(kind, facts)] });
  const options = { sameVersion: false };
  return compareCatalogs(of(built), of(found), options).flatMap(({ facts }) => facts.map(({ name }) => name));
}

test.each<[CatalogObject['kind'], string, string, string[]]>([
  ['constraint', 'CHECK ((a > 0))', 'CHECK (a > 0)', []],
  ['constraint', 'FOREIGN KEY (a) REFERENCES b(c)', 'FOREIGN KEY (a) REFERENCES b(d)', ['definition']],
  ['index', 'CREATE INDEX x ON m USING btree (a)', 'CREATE INDEX x ON m USING btree (b)', ['definition']],
  ['index', 'CREATE INDEX x ON m USING btree (f(a))', 'CREATE INDEX x ON m USING btree (f((a)))', []],
  [
    'index',
    'CREATE INDEX x ON m USING btree (a) WHERE b',
    'CREATE INDEX x ON m USING btree (a) WHERE (b)',
    [],
  ],
  ['trigger', 'CREATE TRIGGER x BEFORE UPDATE', 'CREATE TRIGGER x BEFORE INSERT', ['definition']],
  ['trigger', 'CREATE TRIGGER x WHEN (a) EXECUTE f()', 'CREATE TRIGGER x WHEN ((a)) EXECUTE f()', []],
  ['function', 'returns a', 'returns (a)', []],
])('confidence 7: of a %s on another version, %s and %s', (kind, built, found, differing) => {
  expect(said(kind, { definition: built }, { definition: found })).toEqual(differing);
});

test('confidence 7: on another version, defaults are not compared, types and rights are', () => {
  expect(said('column', { type: 'text', default: "'a'" }, { type: 'int', default: "('a')" })).toEqual([
    'type',
  ]);
  const rights = ['app SELECT', 'app MAINTAIN', 'app MAINTAIN WITH GRANT OPTION'];
  expect(said('view', { privileges: rights }, { privileges: ['app SELECT'] })).toEqual([]);
  expect(said('view', { privileges: rights }, { privileges: [] })).toEqual(['privileges']);
});
