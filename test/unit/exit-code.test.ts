import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { exitCodeOf, statusExitCode } from '../../src/cli/exit-code.ts';
import { EXIT_MEANING, worstExit } from '../../src/errors.ts';
import { runReport } from '../helpers/samples.ts';

const code = (counts: object, more: object = {}) =>
  exitCodeOf(runReport({ ...more, counts: { ...runReport().counts, ...counts } }));

test('the exit code says the worst of what happened', () => {
  const error = { code: 'CONNECTION' as const, message: 'the ledger could not be written' };
  expect(code({})).toBe(0);
  expect(code({ migrated: 994, current: 4, skipped: 2, pending: 1 })).toBe(0);
  expect(code({ migrated: 994, failed: 2 })).toBe(3);
  expect(code({ migrated: 994, refused: 1 })).toBe(3);
  expect(code({ failed: 1, busy: 3 })).toBe(3);
  expect(code({ migrated: 994, busy: 3 })).toBe(5);
  expect(code({ migrated: 994 }, { error })).toBe(1);
  expect(code({ failed: 2 }, { error })).toBe(1);
  expect(code({ failed: 2 }, { interrupted: true })).toBe(130);
  expect(code({ current: 2 }, { foldersBehind: 2 })).toBe(4);
  expect(code({ busy: 1 }, { foldersBehind: 2 })).toBe(5);
  expect(code({ failed: 1 }, { foldersBehind: 2 })).toBe(3);
  expect(code({}, { unmet: 'nobody has the label tier=gold' })).toBe(4);
});

test('status ends with 4 only when asked to', () => {
  const status = (counts: object, exitCode: boolean, foldersBehind = 0) =>
    statusExitCode(
      {
        selection: '--all',
        toolVersion: '0.1.0',
        startedAt: '',
        durationMs: 0,
        interrupted: false,
        cohorts: [],
        notices: [],
        foldersBehind,
        stamped: 0,
        counts: { total: 9, current: 0, pending: 0, drifted: 0, unreachable: 0, inactive: 0, ...counts },
      },
      { exitCode },
    );
  expect(status({ pending: 1, drifted: 1 }, false)).toBe(0);
  expect(status({ pending: 1 }, true)).toBe(4);
  expect(status({ drifted: 1 }, true)).toBe(4);
  expect(status({ current: 9 }, true, 2)).toBe(4);
  expect(status({ current: 9 }, true)).toBe(0);
  expect(status({ unreachable: 1, pending: 1 }, true)).toBe(3);
});

test('where several exit codes hold, it is the first of 130, 1, 3, 5, 4', () => {
  const order = [130, 1, 3, 5, 4] as const;
  for (const [at, code] of order.entries()) {
    expect(worstExit(Object.fromEntries(order.slice(at).map((each) => [each, true])))).toBe(code);
  }
  expect(worstExit({})).toBe(0);
});

test("the README's table of exit codes is the one in the code", () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, section = ''] = readme.split('## Exit codes');
  const rows = [...section.matchAll(/^\| (\d+) +\| (.+?) +\|$/gm)].map(([, code, meaning]) => [
    code,
    meaning?.replaceAll('`', ''),
  ]);
  expect(Object.fromEntries(rows)).toEqual(EXIT_MEANING);
});
