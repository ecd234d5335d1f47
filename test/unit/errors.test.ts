import { describe, expect, test } from 'vitest';
import { CODES, EXIT_MEANING, errorReport, MpmError, redact } from '../../src/errors.ts';

describe('passwords appear nowhere', () => {
  test.each([
    ['postgres://user:p@ss:w/rd@h/d is down', 'postgres://user:***@h/d is down'],
    ['postgresql://user:hunter2@[::1]:5432/d', 'postgresql://user:***@[::1]:5432/d'],
    ["host=h password='hun ter2' user=u", 'host=h password=*** user=u'],
    ['PGPASSWORD=hunter2 psql', 'PGPASSWORD=*** psql'],
    [
      "create role r login password 'hunter2' valid until 'x'",
      "create role r login password '*******' valid until 'x'",
    ],
    ["alter role r PASSWORD E'it''s'", "alter role r PASSWORD E'*****'"],
  ])('%s', (text, expected) => {
    expect(redact(text)).toBe(expected);
  });

  test('in no part of what reports, events and the ledger carry', () => {
    const secret = "create role r password 'hunter2';";
    const error = new MpmError('MIGRATION_FAILED', 'failed at postgres://u:hunter2@h/d', {
      cause: new Error('hunter2'),
      hint: "alter role r password 'hunter2'",
      excerpt: { file: 'a.sql', line: 1, column: 1, lines: [{ number: 1, text: secret, failing: true }] },
      database: { code: '42710', message: 'm', where: `SQL statement "${secret}"` },
    });
    const report = errorReport(error);
    expect(JSON.stringify(report)).not.toContain('hunter2');
    expect(report.excerpt?.lines[0]?.text).toHaveLength(secret.length);
    expect('cause' in report).toBe(false);
  });
});

test('every code ends with an exit code that the help explains', () => {
  for (const exit of Object.values(CODES)) expect(EXIT_MEANING).toHaveProperty(String(exit));
});
