import { loadModule, parseSync } from 'libpg-query';
import { beforeAll, describe, expect, test } from 'vitest';
import { natureOf, type Node } from '../../src/engine/sql/nature.ts';
import { plainConcurrent } from '../../src/engine/sql/plain-concurrent.ts';
import { sessionEffectOf } from '../../src/engine/sql/session.ts';

beforeAll(loadModule);

function byParser(text: string) {
  const [first] = (parseSync(text) as unknown as { stmts: { stmt: Node }[] }).stmts;
  return { nature: natureOf(first!.stmt), effect: sessionEffectOf(first!.stmt) };
}

describe('engine 11: an index without a lock, in its plainest form', () => {
  test.each([
    'create index concurrently a on t (x)',
    'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS Meters_Name_Idx ON Public.Meters(lower(name)) where x > 1',
    'create\n\tindex concurrently a\n  on app.t using gin (x)',
    'create index concurrently if not exists if on t (x) include (y) with (fillfactor = 70)',
    'drop index concurrently a',
    'DROP INDEX CONCURRENTLY IF EXISTS App.A_1',
  ])('is what the parser says: %s', (text) => {
    for (const ahead of ['', '-- über\n']) {
      expect(plainConcurrent(text, Buffer.byteLength(ahead))).toEqual(byParser(ahead + text));
    }
  });

  test.each([
    'create index a on t (x)',
    'create index concurrently on t (x)',
    'create index concurrently "A" on t (x)',
    'create index concurrently a on only t (x)',
    'create index concurrently a on "T" (x)',
    'create index concurrently a on db.app.t (x)',
    'create index concurrently a /* here */ on t (x)',
    'create index concurrently a on t\u00a0(x)',
    `create index concurrently ${'a'.repeat(64)} on t (x)`,
    'create index concurrently ä on t (x)',
    'drop index concurrently a, b',
    'drop index concurrently a cascade',
    'drop index a',
  ])('is left to the parser otherwise: %s', (text) => {
    expect(plainConcurrent(text, 0)).toBeUndefined();
  });
});
