import type { RunRow, TenantRecord } from '../../central/runs.ts';
import { count, duration, oneLine, plural, table } from '../format.ts';
import { hasFailed } from '../report/summary.ts';
import type { Theme } from '../theme.ts';
import { tenantName } from './tenant.ts';

/** Runs, the latest first. */
export function runListText(runs: readonly RunRow[], theme: Theme): string {
  if (runs.length === 0) return 'No runs yet.\n';
  const columns = [
    { title: 'RUN', align: 'right' as const },
    { title: 'VERB' },
    { title: 'OUTCOME' },
    { title: 'STARTED (UTC)' },
    { title: 'TOOK', align: 'right' as const, spare: 2 },
    { title: 'TENANTS', align: 'right' as const },
    { title: 'FAILED', align: 'right' as const },
    { title: 'SELECTION', flexible: true, least: 12, spare: 1 },
    { title: 'BY', flexible: true, spare: 3 },
  ];
  const cells = runs.map((run) => [
    String(run.number),
    run.verb,
    run.outcome,
    atMinute(run.startedAt),
    took(run),
    run.total === null ? '' : count(run.total),
    count(failedOf(run)),
    oneLine(run.selection),
    oneLine(whoRan(run)),
  ]);
  const { ellipsis } = theme.symbols;
  const [heading = '', ...lines] = table(columns, cells, {
    width: theme.width - 2,
    ellipsis,
    heading: theme.dim,
  });
  return `${[`  ${heading}`, ...lines.map((line, at) => `${symbolOf(runs[at], theme)} ${line}`)].join('\n')}\n`;
}

/** One run, and what became of its tenants. */
export function runText(run: RunRow, tenants: readonly TenantRecord[], theme: Theme): string {
  const columns = [
    { title: 'TENANT', flexible: true, least: 12 },
    { title: 'OUTCOME' },
    { title: 'NOW AT', flexible: true, least: 16, spare: 1 },
    { title: 'APPLIED', align: 'right' as const, spare: 2 },
    { title: 'TOOK', align: 'right' as const, spare: 3 },
    { title: 'WHY', flexible: true, least: 24 },
  ];
  const cells = tenants.map((record) => [
    tenantName(record.tenant),
    record.outcome,
    oneLine(record.to ?? '(none)'),
    count(record.applied.length),
    duration(record.durationMs),
    oneLine(record.error?.message ?? record.reason ?? ''),
  ]);
  const { ellipsis } = theme.symbols;
  const lines = tenants.length
    ? table(columns, cells, { width: theme.width - 2, ellipsis, heading: theme.dim }).map(
        (line) => `  ${line}`,
      )
    : [];
  const head = [
    `${symbolOf(run, theme)} ${theme.strong(`run ${run.number}`)}  ${run.verb} ${oneLine(run.selection)}`,
    `    ${run.outcome}, started ${atMinute(run.startedAt)} UTC${run.finishedAt ? `, took ${took(run)}` : ''}`,
    `    by ${oneLine(whoRan(run))} on ${oneLine(run.host)}, mpm-migrate ${run.toolVersion}`,
    ...(run.parts
      ? [
          `    ${run.parts.map((each) => `${each.part}/${each.parts} ${each.outcome} (${oneLine(each.host)})`).join('   ')}`,
        ]
      : []),
    ...(run.error ? [`    ${oneLine(run.error.message)}`] : []),
  ];
  const counts = Object.entries(run.counts).filter(([outcome, number]) => outcome !== 'total' && number > 0);
  const total = [
    ...counts.map(([outcome, number]) => `${count(number)} ${outcome}`),
    ...(run.total === null ? [] : [plural(run.total, 'tenant')]),
  ].join('   ');
  const next =
    failedOf(run) > 0 && hasFailed(run.verb)
      ? [
          `Retry them:   ${theme.command(`mpm-migrate ${run.verb} --failed=${run.number}${run.verb === 'exec' ? ' …' : ''}`)}`,
        ]
      : [];
  if (run.verb === 'up' && tenants.some(({ applied }) => applied.length))
    next.push(`Revert it:    ${theme.command(`mpm-migrate down --run ${run.number}`)}`);
  return `${[head, lines, [total, ...next].filter(Boolean)]
    .filter((block) => block.length > 0)
    .map((block) => block.join('\n'))
    .join('\n\n')}\n`;
}

function symbolOf(run: RunRow | undefined, { symbols, good, warn, bad }: Theme): string {
  if (run?.outcome === 'done') return good(symbols.tick);
  return run?.outcome === 'running' ? warn(symbols.lane) : bad(symbols.cross);
}

function failedOf({ counts }: RunRow): number {
  return (counts['failed'] ?? 0) + (counts['refused'] ?? 0) + (counts['busy'] ?? 0);
}

function whoRan({ actor, databaseUser }: RunRow): string {
  return actor ?? databaseUser;
}

function atMinute(iso: string): string {
  return iso.replace('T', ' ').slice(0, 16);
}

function took({ startedAt, finishedAt }: RunRow): string {
  return finishedAt ? duration(Date.parse(finishedAt) - Date.parse(startedAt)) : '';
}
