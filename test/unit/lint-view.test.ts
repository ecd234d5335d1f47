import { expect, test } from 'vitest';
import type { LintReport } from '../../src/fleet/report/lint-report.ts';
import { lintAnnotations } from '../../src/ui/report/github.ts';
import { sarifReport } from '../../src/ui/report/sarif.ts';
import { lintText } from '../../src/ui/views/lint.ts';
import { themeFor } from '../../src/ui/theme.ts';
import { lintSql } from '../helpers/lint-pages.ts';

const theme = themeFor({ isTTY: false, columns: 100 } as never, {}, { color: false });
const shortPath = (path: string) => path.slice(1);

async function reportOf(...texts: string[]): Promise<LintReport> {
  const { findings, allowed, notLinted, linted } = await lintSql(texts, { 'missing-down': 'off' });
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return {
    verb: 'lint',
    toolVersion: '1.2.3',
    startedAt: '2026-11-27T00:00:00.000Z',
    durationMs: 1,
    chosen: 'changed',
    since: { name: 'main', base: 'abc' },
    notices: ['a notice'],
    counts: { migrations: 9, linted, errors, warnings: findings.length - errors, allowed: allowed.length },
    findings,
    allowed,
    notLinted,
  };
}

const SQL = `drop index orders_state;
-- mpm:allow rename both are read
alter table orders rename state to "st%ate";
create index on orders (amount);
create index on orders (placed);`;

test('confidence 1: findings are grouped by rule, errors first, with the lines, the lock, and the safe form', async () => {
  const text = lintText(await reportOf(SQL), theme, { shortPath });
  expect(text).toMatchInlineSnapshot(`
    "✖ index-not-concurrent  docs/lint/index-not-concurrent.md
        CREATE INDEX without CONCURRENTLY keeps every write to the table waiting until all rows are in the index.
        builds an index of orders without CONCURRENTLY
        locks orders, SHARE: writes wait
        migrations/10_change.sql:4:1
          3 │ alter table orders rename state to "st%ate";
        ▸ 4 │ create index on orders (amount);
            │ ^
          5 │ create index on orders (placed);
        builds an index of orders without CONCURRENTLY
        locks orders, SHARE: writes wait
        migrations/10_change.sql:5:1
          4 │ create index on orders (amount);
        ▸ 5 │ create index on orders (placed);
            │ ^
        Instead:
          -- in a migration of its own: it can't run in a transaction
          create index concurrently on orders (amount);

    ▲ drop-index-not-concurrent  docs/lint/drop-index-not-concurrent.md
        DROP INDEX without CONCURRENTLY waits for every query of the table, and every later query waits behind it.
        drops the index orders_state without CONCURRENTLY
        locks orders, ACCESS EXCLUSIVE: reads and writes wait
        migrations/10_change.sql:1:1
        ▸ 1 │ drop index orders_state;
            │ ^
          2 │ -- mpm:allow rename both are read
        Instead:
          -- in a migration of its own: it can't run in a transaction
          drop index concurrently orders_state;

    ▲ a notice

    ✖ 2 errors, 1 warning, 1 allowed; 1 of 9 migrations judged: changed since main
    "
  `);
  const many = lintText(
    await reportOf(Array.from({ length: 9 }, () => 'truncate orders;').join('\n')),
    theme,
    { shortPath },
  );
  expect(many).toContain('6 more: migrations/10_change.sql:4, migrations/10_change.sql:5');
  const none = lintText(await reportOf('select 1;'), theme);
  expect(none).toContain('nothing found; 1 of 9 migrations judged: changed since main');
});

test('confidence 1: each finding is an annotation at its line, and a result of SARIF', async () => {
  const report = await reportOf(SQL);
  const lines = lintAnnotations(report.findings, shortPath).trimEnd().split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[0]).toBe(
    "::warning file=migrations/10_change.sql,line=1,col=1,title=mpm-migrate lint%3A drop-index-not-concurrent::drops the index orders_state without CONCURRENTLY%0ADROP INDEX without CONCURRENTLY waits for every query of the table, and every later query waits behind it.%0ALocks orders in ACCESS EXCLUSIVE mode: reads and writes wait%0A-- in a migration of its own: it can't run in a transaction%0Adrop index concurrently orders_state;",
  );
  const [text] = sarifReport(report, undefined, { shortPath });
  const { version, runs } = JSON.parse(text ?? '') as {
    version: string;
    runs: { results: unknown[]; tool: unknown }[];
  };
  expect(version).toBe('2.1.0');
  expect(runs[0]?.tool).toMatchObject({
    driver: {
      version: '1.2.3',
      rules: [{ id: 'drop-index-not-concurrent' }, { id: 'index-not-concurrent' }, { id: 'rename' }],
    },
  });
  expect(runs[0]?.results).toMatchObject([
    { ruleId: 'drop-index-not-concurrent', level: 'warning' },
    {
      ruleId: 'index-not-concurrent',
      level: 'error',
      locations: [
        {
          physicalLocation: {
            artifactLocation: { uri: 'migrations/10_change.sql' },
            region: { startLine: 4, startColumn: 1 },
          },
        },
      ],
    },
    { ruleId: 'index-not-concurrent' },
    { ruleId: 'rename', suppressions: [{ kind: 'inSource', justification: 'both are read' }] },
  ]);
});
