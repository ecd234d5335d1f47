import { describe, expect, test } from 'vitest';
import { CODES, EXIT_MEANING, errorReport, MpmError } from '../../src/errors.ts';
import { redact, rememberSecret, rememberUrl } from '../../src/secrets.ts';

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

  test.each([
    'postgres://user:hun ter2@h/d is down',
    'postgres://user:two words and 100%@h/d',
    "postgres://user:it's@h/d",
    'postgres://user:a"b@h:5432/d?sslmode=require',
    'url: "postgres://user:p@ss word@h/d"',
    'postgres://h/d?user=u&password=hunter%202&x=1',
    `host=h password="hun ter2" user=u`,
    `{ password: 'hun ter2' }`,
    `{ "password": "hun \\"ter2" }`,
    `alter role r password e'it\\'s'`,
    'sslpassword=hunter2',
  ])('fleet 28: by its place, also with spaces, percent signs and quotes: %s', (text) => {
    expect(redact(text)).not.toMatch(/hun|ter2|words|100|it's|\\'s|a"b|ss word/);
    expect(redact(text)).toMatch(/\*\*\*|\*{4}/);
  });

  test.each(["hun ter2's %41 \\ pass", 'p%40ss#wörd/"x"', 'ab%cd%', 'q4z8'])(
    'fleet 28: by its value, in every form: %j',
    (secret) => {
      rememberSecret(secret);
      const encoded = encodeURIComponent(secret);
      const forms = [
        secret,
        encoded,
        encoded.replaceAll('%20', '+'),
        encoded.replaceAll(/%[\dA-F]{2}/g, (byte) => byte.toLowerCase()),
        `'${secret.replaceAll("'", "''")}'`,
        JSON.stringify(secret),
      ];
      for (const form of forms) expect(redact(`said ${form} here`)).toMatch(/^said ['"]?\*\*\*['"]? here$/);
    },
  );

  test('fleet 28: of a URL that was used, its password is known as it stands there and decoded', () => {
    rememberUrl('postgres://app:s%20ecr%25t@db.example/central?sslpassword=key%20word');
    expect(redact('no s%20ecr%25t, s ecr%t, key word or key%20word')).toBe('no ***, ***, *** or ***');
    // A password that is also a name would take that name out of everything.
    rememberUrl('postgres://postgres:postgres@database.example/database');
    expect(redact('role postgres')).toBe('role postgres');
    rememberUrl('postgres://a:odd%@h/d');
    expect(redact('odd% was refused')).toBe('*** was refused');
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
