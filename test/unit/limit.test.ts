import { describe, expect, test } from 'vitest';
import { MpmError } from '../../src/errors.ts';
import {
  defaultConcurrency,
  failureBudget,
  halved,
  limitOf,
  pressureOf,
  raised,
} from '../../src/fleet/schedule/limit.ts';

describe('fleet 3: how many at once', () => {
  test.each([
    [{ max: 100, reserved: 3, used: 1 }, 24],
    [{ max: 1000, reserved: 3, used: 10 }, 32],
    [{ max: 10, reserved: 3, used: 5 }, 1],
    [{ max: 10, reserved: 3, used: 10 }, 1],
  ])('fleet 3: %j gives %i lanes', (headroom, lanes) => {
    expect(defaultConcurrency(headroom)).toBe(lanes);
  });

  test('fleet 3: halves down to one, and grows by one in a round of successes', () => {
    let limit = limitOf(16);
    for (const expected of [8, 4, 2, 1, 1]) {
      limit = halved(limit);
      expect(limit.allowed).toBe(expected);
    }
    limit = raised(limit);
    expect(limit.allowed).toBe(2);
    limit = raised(raised(limit));
    expect(Math.floor(limit.allowed)).toBe(2);
    for (let i = 0; i < 500; i++) limit = raised(limit);
    expect(limit.allowed).toBe(16);
  });
});

describe('fleet 3: what an error says about the server', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' });
  const database = { code: '53300', message: 'sorry, too many clients already' };

  test('fleet 3: too many connections, wherever it was met', () => {
    expect(pressureOf(new MpmError('CONNECTION', 'x', { database }))).toBe('full');
    expect(pressureOf(new MpmError('MIGRATION_FAILED', 'x', { database }))).toBe('full');
  });

  test('fleet 3: refused, also in the parts of an AggregateError', () => {
    expect(pressureOf(new MpmError('CONNECTION', 'x', { cause: refused }))).toBe('unreachable');
    expect(pressureOf(new MpmError('CONNECTION', 'x', { cause: new AggregateError([refused]) }))).toBe(
      'unreachable',
    );
  });

  test("fleet 3: a tenant's own trouble is none of the server", () => {
    expect(pressureOf(undefined)).toBeUndefined();
    expect(pressureOf(new MpmError('DATABASE_MISSING', 'x'))).toBeUndefined();
    expect(pressureOf(new MpmError('MIGRATION_FAILED', 'x', { cause: refused }))).toBeUndefined();
  });
});

test.each([
  [undefined, 1000, Infinity],
  [25, 1000, 25],
  ['25', 1000, 25],
  ['2%', 1000, 20],
  ['0.5%', 100, 1],
  ['2%', 0, 1],
])('fleet 4: a budget of %s over %i tenants ends at %d failures', (limit, total, failures) => {
  expect(failureBudget(limit, total)).toBe(failures);
});

test.each(['0', '-1', '1.5', 'x', '', '101%', '%', 0, -2])(
  'fleet 4: a budget of %j is a usage error',
  (limit) => {
    expect(() => failureBudget(limit, 10)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  },
);
