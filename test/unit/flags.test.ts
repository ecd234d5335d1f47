import { expect, test } from 'vitest';
import { paceFrom, selectionFrom, withBareFailed } from '../../src/cli/flags.ts';
import { errorReport } from '../../src/errors.ts';

function failure(act: () => unknown) {
  try {
    act();
  } catch (error) {
    return errorReport(error);
  }
  throw new Error('it did not throw');
}

test('flags become the selection that they describe', () => {
  expect(selectionFrom({ all: true, exclude: ['7'], behind: true })).toEqual({
    all: true,
    exclude: ['7'],
    behind: true,
  });
  expect(selectionFrom({ tenant: ['42', '1..9', '-7'] })).toEqual({ tenants: ['42', '1..9', '-7'] });
  expect(selectionFrom({ all: true, tenant: ['-7'] })).toEqual({ all: true, tenants: ['-7'] });
  expect(selectionFrom({ label: ['tier=gold', 'note=a=b'] })).toEqual({
    labels: { tier: 'gold', note: 'a=b' },
  });
  expect(selectionFrom({ failed: 'last' })).toEqual({ failed: 'last' });
  expect(selectionFrom({ failed: '184' })).toEqual({ failed: 184 });
});

test('no selection is a usage error that lists the ways', () => {
  const { code, hint } = failure(() => selectionFrom({}));
  expect(code).toBe('NO_SELECTION');
  for (const way of ['--all', '--tenant', '--label', '--failed', '--behind']) expect(hint).toContain(way);
  expect(failure(() => selectionFrom({ exclude: ['7'] })).code).toBe('NO_SELECTION');
  expect(failure(() => selectionFrom({ tenant: ['-7'] })).code).toBe('NO_SELECTION');
});

test('--force requires --tenant', () => {
  expect(selectionFrom({ tenant: ['42'], force: true })).toEqual({ tenants: ['42'] });
  for (const flags of [{ all: true }, { all: true, tenant: ['42'] }, { failed: 'last' }, {}]) {
    expect(failure(() => selectionFrom({ ...flags, force: true }))).toMatchObject({
      code: 'USAGE',
      message: '--force requires --tenant',
    });
  }
});

test('what makes no sense is named with its flag', () => {
  expect(failure(() => selectionFrom({ all: true, tenant: ['42'] })).message).toBe(
    "--all and --tenant 42 can't be combined",
  );
  expect(failure(() => selectionFrom({ label: ['gold'] })).message).toBe('--label gold: not a label');
  expect(failure(() => selectionFrom({ label: ['tier=gold', 'tier=silver'] })).message).toBe(
    '--label tier is given twice: gold and silver',
  );
  expect(failure(() => selectionFrom({ failed: 'x' })).message).toBe("--failed=x: not a run's number");
  expect(failure(() => paceFrom({ concurrency: '0' })).message).toContain('--concurrency 0');
  expect(failure(() => paceFrom({ retries: '-1' })).message).toContain('--retries -1');
  expect(failure(() => paceFrom({ 'lock-wait': '5 parsecs' }))).toMatchObject({
    code: 'USAGE',
    message: '--lock-wait 5 parsecs: not a duration',
  });
});

test("pace flags become the configuration's words", () => {
  expect(paceFrom({})).toEqual({});
  expect(
    paceFrom({
      concurrency: '16',
      retries: '0',
      'lock-timeout': '500ms',
      'statement-timeout': '2min',
      'lock-wait': '0',
    }),
  ).toEqual({ concurrency: 16, retries: 0, lockTimeout: 500, statementTimeout: 120_000, lockWait: 0 });
});

test('a bare --failed means the last run', () => {
  expect(withBareFailed(['--failed', '--to', 'x'])).toEqual(['--failed=last', '--to', 'x']);
  expect(withBareFailed(['--failed=184'])).toEqual(['--failed=184']);
  expect(withBareFailed(['--', '--failed'])).toEqual(['--', '--failed']);
});
