import type { RunRow } from '../../central/runs.ts';
import type { StatusReport, StatusRow, StatusState } from '../../fleet/report/status-report.ts';
import { idWord } from '../../shell-word.ts';
import { count, duration, nameList, plural } from '../format.ts';
import type { ErrorViewOptions } from '../views/error.ts';
import { tenantName } from '../views/tenant.ts';
import { errorBlock } from './html-sections.ts';
import { PAGE_END, pageHead } from './html-page.ts';
import { escapeAttribute, escapeMarkup } from './markup.ts';

/** A tile's letter, and which of a run's outcomes it looks like. */
const TILES: Record<StatusState, { letter: string; look: string }> = {
  drifted: { letter: 'D', look: 'refused' },
  unreachable: { letter: 'U', look: 'failed' },
  pending: { letter: 'P', look: 'pending' },
  current: { letter: 'C', look: 'current' },
  inactive: { letter: 'I', look: 'skipped' },
};
const STATES = Object.keys(TILES) as StatusState[];

/** Up to so many, a tile has room for the tenant's name. */
const MOST_NAMED = 120;
/** So many that need a look are written out. */
const MOST_TROUBLED = 500;

/** What a page of the fleet shows. */
export interface FleetPage {
  report: StatusReport;
  /** The newest first. */
  runs: readonly RunRow[];
}

/** One HTML file that needs nothing else: cohorts, who needs a look and what to type, the last runs, a tile per tenant. */
export function* statusHtml(
  { report, runs }: FleetPage,
  _: unknown,
  options: ErrorViewOptions,
): Generator<string> {
  const { counts, selection, startedAt, durationMs, toolVersion, tenants: rows = [] } = report;
  yield pageHead({
    command: `status ${selection}`,
    about: '',
    verdict: verdictOf(report),
    fine: counts.drifted + counts.unreachable + counts.pending === 0 && !report.error && !report.unmet,
    facts: [
      ['Looked', `${startedAt.slice(0, 19).replace('T', ' ')} UTC`],
      ['Took', duration(durationMs)],
      ['mpm-migrate', toolVersion],
    ],
  });
  if (report.error) yield errorBlock(report.error, options);
  yield section(
    'Where the fleet stands',
    ['Tenants', 'At', 'Applied', 'Behind', 'Who'],
    report.cohorts.map((cohort) => [
      count(cohort.count),
      cohort.head ?? 'without migrations',
      count(cohort.applied),
      count(cohort.pending),
      nameList(cohort.tenants.map(tenantName), cohort.count),
    ]),
  );
  yield* tiles(report, rows);
  yield* troubles(rows);
  yield section(
    'Last runs',
    ['Run', 'Command', 'Outcome', 'Started (UTC)', 'By'],
    runs.map((run) => [
      String(run.number),
      `${run.verb} ${run.selection}`,
      run.outcome,
      run.startedAt.slice(0, 16).replace('T', ' '),
      run.actor ?? run.databaseUser,
    ]),
  );
  yield* notices(report);
  yield PAGE_END;
}

function verdictOf({ counts, unmet, interrupted }: StatusReport): string {
  if (interrupted) return 'Interrupted: not all tenants were looked at';
  if (unmet !== undefined) return unmet;
  if (counts.total === 0) return 'No tenant matches';
  const wrong = [
    ...(counts.pending ? [`${count(counts.pending)} pending`] : []),
    ...(counts.drifted ? [`${count(counts.drifted)} drifted`] : []),
    ...(counts.unreachable ? [`${count(counts.unreachable)} unreachable`] : []),
  ];
  const all = plural(counts.total, 'tenant');
  return wrong.length ? `${wrong.join(', ')} of ${all}` : `${count(counts.current)} current of ${all}`;
}

/** A table with a heading; nothing where there is nothing in it. The first cell of a row is the one that names it. */
function section(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const cells = (row: readonly string[]) => row.map((cell) => `<td>${escapeMarkup(cell)}</td>`).join('');
  return `<section><h2>${title}</h2>
<div class="wide"><table class="plain"><thead><tr>${columns.map((column) => `<th>${column}</th>`).join('')}</tr></thead>
<tbody>${rows.map((row) => `<tr>${cells(row)}</tr>`).join('\n')}</tbody></table></div></section>\n`;
}

/** Those that drifted, could not be read, or are passed by: why, and what to type. */
function* troubles(rows: readonly StatusRow[]): Generator<string> {
  const of = (state: StatusState) => rows.filter((row) => row.state === state);
  // Who is on hold is so on purpose, and comes last.
  const troubled = [...of('unreachable'), ...of('drifted'), ...of('inactive')];
  if (troubled.length === 0) return;
  yield '<section><h2>Who needs a look</h2>\n';
  for (const row of troubled.slice(0, MOST_TROUBLED)) {
    const hint = (row.remedies ?? [row.error?.hint ?? ''])
      .join('\n')
      .replaceAll('{tenant}', idWord(row.tenant.id));
    yield `<details class="failure"><summary><b>${escapeMarkup(tenantName(row.tenant))}</b> ${escapeMarkup(troubleOf(row))}</summary>
${hint ? `<pre class="hint">${escapeMarkup(hint)}</pre>` : ''}<p class="names">id ${escapeMarkup(row.tenant.id)}, database ${escapeMarkup(row.tenant.database)} on ${escapeMarkup(row.tenant.server)}</p>
</details>\n`;
  }
  const more = troubled.length - MOST_TROUBLED;
  if (more > 0) yield `<p class="note">and ${count(more)} more</p>\n`;
  yield '</section>\n';
}

function troubleOf({ state, status, reason, drift, error }: StatusRow): string {
  if (state === 'unreachable') return error?.message ?? 'cannot be read';
  const drifted = Object.entries(drift ?? {}).map(([kind, number]) => `${count(number)} ${kind}`);
  const held = state === 'inactive' || reason ? [status, ...(reason ? [reason] : [])].join(': ') : '';
  return [...drifted, held].filter(Boolean).join('; ') || state;
}

function* notices({ notices: said, foldersBehind }: StatusReport): Generator<string> {
  const lines = [
    ...said,
    ...(foldersBehind > 0
      ? [`${plural(foldersBehind, 'tenant')} with a folder behind core: mpm-migrate sync`]
      : []),
  ];
  if (lines.length === 0) return;
  yield `<section><h2>Notices</h2><ul>${lines.map((line) => `<li>${escapeMarkup(line)}</li>`).join('')}</ul></section>\n`;
}

function* tiles({ counts }: StatusReport, rows: readonly StatusRow[]): Generator<string> {
  if (rows.length === 0) return;
  const named = rows.length <= MOST_NAMED;
  const legend = STATES.filter((state) => counts[state] > 0).map(
    (state) =>
      `<li><i class="tile ${TILES[state].look}" aria-hidden="true">${TILES[state].letter}</i> <b>${count(counts[state])}</b> ${state}</li>`,
  );
  yield `<section><h2>Tenants</h2>\n<ul class="legend">${legend.join('')}</ul>
<ol class="tiles${named ? ' named' : ''}" aria-label="${escapeAttribute(plural(rows.length, 'tenant'))}">\n`;
  for (const row of rows) {
    const { letter, look } = TILES[row.state];
    const name = tenantName(row.tenant);
    const about = escapeAttribute(`${name}: ${row.state}${row.head === null ? '' : `, at ${row.head}`}`);
    yield `<li class="tile ${look}" title="${about}" aria-label="${about}">${letter}${named ? `<span>${escapeMarkup(name)}</span>` : ''}</li>\n`;
  }
  yield '</ol></section>\n';
}
