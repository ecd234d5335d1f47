import { expect, test } from 'vitest';
import { exec } from '../../src/fleet/verbs/exec.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

test('a syntax error is sent to one tenant; what a server must decide goes to all', async () => {
  const { config } = await makeFleet(databases, { count: 4, files: {} });
  const wrong = await exec(config, { all: true }, 'select 1;\nselec 2');
  expect(wrong).toMatchObject({
    counts: { total: 4, failed: 1, skipped: 3 },
    failures: [
      { error: { code: 'EXEC_FAILED', database: { code: '42601' }, excerpt: { line: 2, column: 1 } } },
    ],
    skipped: [{ count: 3, reason: 'not sent: another server calls it a syntax error' }],
  });
  expect(await exec(config, { all: true }, 'select * from nowhere')).toMatchObject({ counts: { failed: 4 } });
  // Our parser is PostgreSQL 18's; up to 15 a server takes a comment between the parts of a string.
  const text = "select 'a' -- b\n'c' as v";
  const report = await exec(config, { all: true }, text);
  expect(report.counts.executed === 4 || report.counts.failed === 1).toBe(true);
});
