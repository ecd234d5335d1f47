import { expectLinear } from '../helpers/effort.ts';
import { describe, expect, test } from 'vitest';
import { openGithubLog } from '../../src/cli/outputs.ts';
import { failureKey } from '../../src/fleet/report/collect.ts';
import type { EditReport } from '../../src/fleet/report/edit-report.ts';
import type { PlanReport } from '../../src/fleet/report/plan-report.ts';
import type { RunReport } from '../../src/fleet/report/report.ts';
import type { HistoryEntry, StatusReport } from '../../src/fleet/report/status-report.ts';
import { boundError } from '../../src/postgres/sqlstate.ts';
import { bounded, jsonOf } from '../../src/text.ts';
import { startLines } from '../../src/ui/progress/lines.ts';
import { githubAnnotations, githubSummary } from '../../src/ui/report/github.ts';
import { htmlReport } from '../../src/ui/report/html.ts';
import { type AllResults, jsonReport } from '../../src/ui/report/json.ts';
import { junitReport } from '../../src/ui/report/junit.ts';
import { reportText } from '../../src/ui/report/text.ts';
import { errorView } from '../../src/ui/views/error.ts';
import { editText } from '../../src/ui/views/edits.ts';
import { planText } from '../../src/ui/views/plan.ts';
import { rowsAsCsv, rowsAsNdjson, rowsAsTable } from '../../src/ui/views/rows.ts';
import { statusText } from '../../src/ui/views/status.ts';
import { duplicateColumn, finished, plain, result, runReport, started, tenant } from '../helpers/samples.ts';

/** What a tenant's database may say where a name, a head or a message is expected. */
const HOSTILE =
  '::error file=x::a\u202e\u2066b\u001b[31m\u0007\u009b2K\n::error file=y::c ##[error]d ##vso[task.complete]e\r::warning::f\n  ::add-mask::g\nINJECTED ✔ 8 migrated';

/** Words that are ours in a report, whatever a database says. */
const OURS =
  /^(?:code|outcome|state|states|direction|verb|status|type|kind|action|selection|toolVersion|startedAt|finishedAt|file|path|hint|remedy|id|run)$/;

/** The same with every text that can come from a database replaced. */
function hostile<T>(value: T, key = ''): T {
  if (typeof value === 'string') return (OURS.test(key) ? value : HOSTILE) as T;
  if (Array.isArray(value)) return value.map((each: unknown) => hostile(each, key)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, hostile(part, name)])) as T;
}

const RAW = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const COMMANDS = /^[^\S\n]*::|##\[|##vso\[/m;

const who = tenant('acme');
const failed = result(who, {
  outcome: 'failed',
  error: duplicateColumn,
  applied: [{ name: '1_a', direction: 'up', durationMs: 1 }],
  pending: ['2_b'],
  notices: ['a notice'],
});
const report: RunReport = hostile(
  runReport({
    counts: { ...runReport().counts, total: 3, failed: 1, migrated: 1, skipped: 1 },
    failures: [
      { error: duplicateColumn, count: 1, tenants: [who], at: '1_a' },
      {
        error: { code: 'CONNECTION', message: 'm', aftermath: 'a', subject: 's' },
        count: 2,
        tenants: [who, who],
      },
    ],
    skipped: [{ reason: 'on hold', count: 1 }],
    notices: ['notice'],
    waves: [{ name: 'first', outcome: 'done', counts: runReport().counts, durationMs: 1 }],
    tenants: [failed, result(who, { applied: [{ name: '1_a', direction: 'up', durationMs: 1 }] })],
    error: { code: 'LEDGER_LOST', message: 'm' },
  }),
);
const head = {
  selection: '--all',
  toolVersion: '1',
  startedAt: '2026-01-01T00:00:00Z',
  durationMs: 1,
  interrupted: false,
};
const history: HistoryEntry = {
  name: '1_a',
  state: 'failed',
  checksum: 'x',
  source: 'core',
  plugin: 'p',
  finishedAt: null,
  durationMs: 1,
  run: '1',
  actor: 'ci',
  toolVersion: '1',
  statementsDone: 1,
  statements: 2,
  error: 'e',
};
const status: StatusReport = hostile({
  ...head,
  counts: { total: 3, current: 1, pending: 0, drifted: 1, unreachable: 1, inactive: 0 },
  cohorts: [{ head: '1_a', applied: 1, pending: 1, count: 1, tenants: [who] }],
  stamped: 0,
  foldersBehind: 0,
  notices: ['n'],
  tenants: [
    {
      tenant: who,
      state: 'drifted',
      status: 'active',
      reason: 'r',
      head: '1_a',
      applied: 1,
      pending: 1,
      plugins: ['p'],
      drift: { failed: 1 },
    },
    {
      tenant: who,
      state: 'unreachable',
      status: 'active',
      head: null,
      applied: 0,
      pending: 0,
      error: { code: 'CONNECTION', message: 'm' },
    },
  ],
  matrix: { migrations: ['1_a'], groups: [{ count: 1, tenants: [who], states: ['applied'] }], others: 0 },
});
const plan: PlanReport = hostile({
  verb: 'plan',
  ...head,
  layout: 'NAME/migration.sql',
  counts: { total: 2, pending: 1, refused: 1, current: 0, skipped: 0, unreachable: 0 },
  groups: [
    { outcome: 'pending', count: 1, tenants: [who], pending: ['1_a'], refusals: [], notices: ['n'] },
    {
      outcome: 'refused',
      count: 1,
      tenants: [who],
      pending: [],
      refusals: [{ state: 'missing', names: ['1_a'], message: 'm', remedy: 'mpm-migrate status' }],
      notices: [],
    },
  ],
  migrations: [],
  foldersBehind: 0,
  notices: ['n'],
} as PlanReport);
const mend: EditReport = hostile({
  verb: 'repair',
  ...head,
  write: false,
  counts: { total: 2, changed: 1, unchanged: 0, failed: 1, busy: 0, skipped: 0 },
  groups: [{ changes: [{ action: 'forget', name: '1_a', why: 'w' }], count: 1, tenants: [who] }],
  failures: [{ error: duplicateColumn, count: 1, tenants: [who], at: '1_a' }],
  skipped: [{ reason: 'r', count: 1 }],
  notices: ['n'],
} as EditReport);
const results: AllResults = {
  servers: new Map([['default', { tenants: 1, failed: 1, skipped: 0, durationMs: 1 }]]),
  read: async function* () {
    yield hostile(failed);
    yield hostile(result(who, { outcome: 'skipped', reason: 'r' }));
  },
};

async function all(parts: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const part of parts) text += part;
  return text;
}

function lines(): string {
  const said: string[] = [];
  const progress = startLines({
    write: (text: string) => said.push(text),
    theme: plain(0),
    failureKey,
    clock: () => 0,
  } as unknown as Parameters<typeof startLines>[0]);
  progress.onEvent(started(2));
  progress.onEvent(hostile({ type: 'notice', at: 0, message: 'n' }));
  progress.onEvent(hostile({ type: 'tenant-waiting', at: 0, tenant: who, reason: 'r' }));
  progress.onEvent(hostile(finished(who, duplicateColumn)));
  void progress.stop();
  return said.join('');
}

const theme = plain(0);
const options = { host: 'h', shortPath: (path: string) => path };

describe('engine 35: what a tenant says cannot be taken for ours, in any output', () => {
  test.each<[string, () => string | Promise<string>]>([
    ['the report', () => reportText(report, theme)],
    ['the report on a terminal', () => reportText(report, plain(60))],
    ['an error', () => errorView(hostile({ ...duplicateColumn, subject: 's' }), theme)],
    ['status', () => statusText(status, theme)],
    ['status of one', () => statusText({ ...status, history: [hostile(history)] }, theme)],
    ['plan', () => planText(plan, theme)],
    ['repair', () => editText(mend, theme)],
    ['log lines', lines],
    ['the step summary', () => githubSummary(report)],
    ['JUnit', () => all(junitReport(report, results, options))],
    ['HTML', () => all(htmlReport(report, results, options))],
    ['JSON', () => all(jsonReport(report, results))],
    ['--json', () => jsonOf({ report, status, plan, mend }, 2)],
    ['NDJSON', () => rowsAsNdjson().take({ tenant: hostile(who), tables: [] }) + jsonOf(hostile(failed))],
    [
      'rows',
      () => {
        const rows = rowsAsTable(theme);
        const table = {
          command: 'SELECT',
          rowCount: 1,
          columns: [{ name: HOSTILE, type: 25 }],
          rows: [[HOSTILE]],
        };
        return rows.take({ tenant: hostile(who), tables: [table] }) + rows.end();
      },
    ],
  ])('%s', async (what, make) => {
    const text = await make();
    expect(text.length).toBeGreaterThan(20);
    expect(
      /.{0,60}(?:[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]).{0,20}/.exec(
        text,
      )?.[0],
    ).toBeUndefined();
    expect(text).not.toMatch(COMMANDS);
    // A line of theirs is never one of ours; in XML and HTML it is within its element.
    if (what !== 'JUnit' && what !== 'HTML') expect(text).not.toMatch(/^INJECTED/m);
  });

  test('annotations are one line each, ours', () => {
    const text = githubAnnotations(report, (path) => path);
    expect(
      text
        .trim()
        .split('\n')
        .every((line) => line.startsWith('::error ')),
    ).toBe(true);
    expect(text.trim().split('\n')).toHaveLength(2);
    expect(text).not.toMatch(/##\[|[\u202e\u2066\u001b]/);
  });

  test('JSON keeps the values: they are escaped, not changed', () => {
    const text = jsonOf({ name: HOSTILE });
    expect(JSON.parse(text)).toEqual({ name: HOSTILE });
    expect(text).not.toMatch(RAW);
  });

  test('an error of any length is cut to 4 kB and 20 lines, at once', () => {
    const long = Object.assign(new Error('a.a '.repeat(3e6)), {
      severity: 'ERROR',
      code: 'P0001',
      detail: 'x\n'.repeat(5e6),
      where: 'é'.repeat(1e7),
    });
    boundError(long);
    for (const text of [long.message, long.detail, long.where]) {
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096);
      expect(text.split('\n').length).toBeLessThanOrEqual(20);
      expect(text).toMatch(/… \(\d+ characters more\)$/);
    }
    expect(long.stack?.length).toBeLessThan(20_000);
    expect(long.stack).toMatch(/^ {4}at /m);
    expectLinear((size) => void boundError(new Error('a.a '.repeat(size))), 500_000);
    expect(bounded('short\ntext')).toBe('short\ntext');
    expect(bounded('a\u202eb\u001b[1mc')).toBe('abc');
    expect(bounded('🚀'.repeat(2000))).toMatch(/^(?:🚀)+… \(\d+ characters more\)$/);
  });

  test('in CSV a text is no formula, and a number stays one', () => {
    const texts = ['=1+1', '+1', '-2+3', '@a', '\ta', '\ra', 'a=1', '-5', null, '=a,"b"'];
    const columns = [
      { name: '=name', type: 25 },
      { name: 'n', type: 1700 },
    ];
    const rows = texts.map((text) => [text, '-7.5']);
    const csv = rowsAsCsv().take({
      tenant: { ...who, name: '@SUM(1)' },
      tables: [{ command: 'SELECT', rowCount: rows.length, columns, rows }],
    });
    expect(csv).toBe(
      [
        `tenant_id,tenant,'=name,n`,
        `1,'@SUM(1),'=1+1,-7.5`,
        `1,'@SUM(1),'+1,-7.5`,
        `1,'@SUM(1),'-2+3,-7.5`,
        `1,'@SUM(1),'@a,-7.5`,
        `1,'@SUM(1),'\ta,-7.5`,
        `1,'@SUM(1),"'\ra",-7.5`,
        `1,'@SUM(1),a=1,-7.5`,
        `1,'@SUM(1),-5,-7.5`,
        `1,'@SUM(1),,-7.5`,
        `1,'@SUM(1),"'=a,""b""",-7.5`,
        '',
      ].join('\n'),
    );
  });

  test('in a GitHub log commands are stopped, but for our own annotations', () => {
    let log = '';
    expect(openGithubLog({}, (text) => (log += text))).toBeUndefined();
    const github = openGithubLog({ GITHUB_ACTIONS: 'true' }, (text) => (log += text));
    log += '::error::a tenant says\n';
    github?.command('::error::ours\n');
    github?.command('');
    github?.end();
    github?.end();
    const token = /^::stop-commands::([\da-f]{32})\n/.exec(log)?.[1];
    expect(log).toBe(
      `::stop-commands::${token}\n::error::a tenant says\n::${token}::\n::error::ours\n::stop-commands::${token}\n::${token}::\n`,
    );
  });
});
