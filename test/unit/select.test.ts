import { expect, test } from 'vitest';
import { describeSelection, filterOf, requireSelection, selectsByName } from '../../src/fleet/select.ts';

test('a selection names somebody, or is refused with the ways to', () => {
  for (const nobody of [{}, { tenants: [] }, { tenants: ['-7'] }, { exclude: ['7'] }, { labels: {} }]) {
    expect(() => requireSelection(nobody)).toThrow(
      expect.objectContaining({ code: 'NO_SELECTION', hint: expect.stringContaining('--all') }),
    );
  }
  const some = [
    { all: true },
    { tenants: ['42'] },
    { labels: { tier: 'gold' } },
    { failed: 'last' as const },
    { behind: true },
  ];
  for (const somebody of some) expect(() => requireSelection(somebody)).not.toThrow();
});

test('a selection in words can be typed again', () => {
  expect(
    describeSelection({
      tenants: ['42', "O'Neil Ltd", '-7'],
      labels: { tier: 'gold' },
      failed: 184,
      behind: true,
    }),
  ).toBe(
    String.raw`--tenant 42 --tenant 'O'\''Neil Ltd' --tenant -7 --label tier=gold --failed=184 --behind`,
  );
  expect(describeSelection({ all: true, exclude: ['7'], failed: 'last' })).toBe('--all --exclude 7 --failed');
});

test('-7 is left out, whatever else is selected', () => {
  expect(filterOf({ tenants: ['1..9', '-7'], exclude: ['8'] })).toEqual({
    tenants: ['1..9'],
    exclude: ['8', '7'],
  });
  expect(filterOf({ all: true, tenants: ['-7'] })).toEqual({ all: true, exclude: ['7'] });
  expect(filterOf({ labels: { tier: 'gold' } })).toEqual({ all: true, labels: { tier: 'gold' } });
});

test('a report keeps every result only of a selection by name', () => {
  expect(selectsByName({ tenants: ['42'] })).toBe(true);
  expect(selectsByName({ all: true, tenants: ['42'] })).toBe(true);
  expect(selectsByName({ tenants: ['-42'] })).toBe(false);
  expect(selectsByName({ all: true })).toBe(false);
});
