import { expect, test } from 'vitest';
import { usageError } from '../../src/cli/usage-error.ts';
import { errorReport, MpmError } from '../../src/errors.ts';
import { errorView, hintLines } from '../../src/ui/views/error.ts';
import { plain } from '../helpers/samples.ts';

test('an error says what, to whom, why, what became of it, and what to type', () => {
  const error = new MpmError('NOT_EMPTY', 'the database has tables and no history', {
    subject: 'kivu-grid',
    aftermath: 'nothing was changed here',
    hint: 'mpm-migrate baseline --tenant 42 --to NAME',
  });
  expect(errorView(errorReport(error), plain(80))).toBe(`✖ kivu-grid: the database has tables and no history
    Nothing was changed here.
    Try:   mpm-migrate baseline --tenant 42 --to NAME
`);
});

test('a list of problems stays a list; long lines are broken, commands are not', () => {
  const error = new MpmError(
    'CONFIG_INVALID',
    'mpm-migrate.config.ts has 2 problems\n  pace.retries: x\n  servers: y',
    {
      subject: '/app/mpm-migrate.config.ts',
      hint: 'Mend them all, then run the command again, which reads the file from the beginning.',
    },
  );
  expect(errorView(errorReport(error), plain(60))).toBe(`✖ mpm-migrate.config.ts has 2 problems
      pace.retries: x
      servers: y
    Mend them all, then run the command again, which reads
    the file from the beginning.
`);
});

test('the caret is under the error: tabs, wide characters, long lines', () => {
  const at = (text: string, column: number, columns = 80) =>
    errorView(
      {
        code: 'MIGRATION_FAILED',
        message: 'syntax error',
        excerpt: { file: 'x.sql', line: 12, column, lines: [{ number: 12, text, failing: true }] },
      },
      plain(columns),
    );
  expect(at('\tselect 太陽 frm x', 12)).toBe(`✖ syntax error
    x.sql:12:12
    ▸ 12 │   select 太陽 frm x
         │               ^
`);
  const long = at(`${'a'.repeat(300)} oops ${'b'.repeat(300)}`, 302, 60);
  const [, , shown = '', under = ''] = long.split('\n');
  expect(shown.slice(under.indexOf('^')).startsWith('oops')).toBe(true);
  expect(shown.length).toBeLessThanOrEqual(60);
});

test('passwords appear nowhere', () => {
  const error = new Error('connect postgres://app:s3cret@db/x failed, password=s3cret');
  expect(errorView(errorReport(error), plain(200))).not.toContain('s3cret');
  expect(JSON.stringify(errorReport(Object.assign(error, { config: { password: 's3cret' } })))).not.toContain(
    's3cret',
  );
});

test('a hint that is a command is labelled; advice is told as it is', () => {
  const label = (hint: string) => hintLines(hint, plain(0)).join('\n');
  expect(label('mpm-migrate verify --tenant kivu-grid')).toBe('Look:  mpm-migrate verify --tenant kivu-grid');
  expect(label('mpm-migrate run show 184 --failed')).toBe('Look:  mpm-migrate run show 184 --failed');
  expect(label('mpm-migrate tenant create "Acme Ltd"')).toBe('Try:   mpm-migrate tenant create "Acme Ltd"');
  expect(label('mpm-migrate tenant pool fill --help')).toBe('Look:  mpm-migrate tenant pool fill --help');
  expect(label("mpm-migrate up --tenant 'Acme Ltd' --force")).toBe(
    "Try:   mpm-migrate up --tenant 'Acme Ltd' --force",
  );
  expect(label('mpm-migrate init writes one; or set X')).toBe('mpm-migrate init writes one; or set X');
  expect(label('Check the URL.')).toBe('Check the URL.');
});

test("oclif's complaints are told in our form", () => {
  const told = (message: string, more: object = {}) =>
    errorReport(usageError(Object.assign(new Error(message), more), 'up', ['force', 'tenant']));
  expect(told('Nonexistent flag: --forse\nSee more help with --help', { flags: ['--forse'] })).toEqual({
    code: 'USAGE',
    message: 'Unknown flag: --forse',
    hint: 'Did you mean --force?',
  });
  expect(told('Nonexistent flags: --a, --b\nSee more help with --help', { flags: ['--a'] })).toMatchObject({
    message: 'Unknown flags: --a, --b',
    hint: 'mpm-migrate up --help',
  });
  expect(told('Missing 1 required arg:\nname  What it does\nSee more help with --help').message).toBe(
    'Missing argument: name  What it does',
  );
  expect(told('Flag --tenant expects a value').message).toBe('Flag --tenant expects a value');
  expect(
    told(
      'The following error occurred:\n  \u001b[2m--fail-fast=true cannot also be provided when using --max-failures\u001b[22m\nSee more help with --help',
    ).message,
  ).toBe("--fail-fast and --max-failures can't be combined");
});
