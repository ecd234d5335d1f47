import { expect, test } from 'vitest';
import { choose, mayGo, tenureOf } from '../../src/sessions/pool-choice.ts';

const limits = { connections: 20, perDatabase: 4, server: 10 };
const idleFleet = { waitedMs: 0, ofDatabase: 0, ofServer: 0, inAll: 0 };
const say = (situation: Partial<typeof idleFleet>): string =>
  Object.values(choose({ ...idleFleet, ...situation }, limits)).join(' ');

test('fleet 18: what is done for who waits for a connection', () => {
  expect(say({})).toBe('open');
  expect(say({ ofDatabase: 3, ofServer: 9, inAll: 19 })).toBe('open');
  // Its own database has all that it may have: one of them comes free.
  expect(say({ ofDatabase: 4, waitedMs: 9000 })).toBe('wait');
  // Without any connection: another one goes, of the same server if that is what is full.
  expect(say({ inAll: 20 })).toBe('yield anywhere');
  expect(say({ ofServer: 10, inAll: 12 })).toBe('yield server');
  // With one already: it waits for that, and then takes only what nobody uses.
  expect(say({ ofDatabase: 1, inAll: 20 })).toBe('wait');
  expect(say({ ofDatabase: 1, inAll: 20, waitedMs: 300 })).toBe('evict anywhere');
});

test('fleet 18: a connection in constant use stays long enough to be worth its opening, and not for ever', () => {
  expect(tenureOf(5, { waitTimeout: 10_000 })).toBe(250);
  expect(tenureOf(60, { waitTimeout: 10_000 })).toBe(600);
  expect(tenureOf(900, { waitTimeout: 10_000 })).toBe(1250);
  expect(mayGo({ idleMs: 0, ageMs: 100 }, 250)).toBe(false);
  expect(mayGo({ idleMs: 30, ageMs: 100 }, 250)).toBe(true);
  expect(mayGo({ idleMs: 0, ageMs: 300 }, 250)).toBe(true);
});
