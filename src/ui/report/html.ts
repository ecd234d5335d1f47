import type { Outcome, RunReport, TenantResult } from '../../fleet/report/report.ts';
import { count, duration, plural } from '../format.ts';
import type { ErrorViewOptions } from '../views/error.ts';
import { tenantName } from '../views/tenant.ts';
import { errorBlock, failureSections, histogram, noticeList, slowestTable } from './html-sections.ts';
import { PAGE_END, pageHead } from './html-page.ts';
import type { AllResults } from './json.ts';
import { Durations, escapeAttribute, escapeMarkup } from './markup.ts';

/** A tile's letter: what it says without its colour. The order is that of the legend. */
const LETTERS: Record<Outcome, string> = {
  failed: 'F',
  refused: 'R',
  busy: 'B',
  drifted: 'D',
  migrated: 'M',
  executed: 'E',
  rehearsed: 'H',
  reverted: 'V',
  pending: 'P',
  current: 'C',
  skipped: 'S',
};

/** Up to so many, a tile has room for the tenant's name. */
const MOST_NAMED = 120;
const MOST_SLOW = 10;

/** One HTML file that needs nothing else: summary, failures, durations, and a tile per tenant. */
export async function* htmlReport(
  report: RunReport,
  results: AllResults,
  options: ErrorViewOptions,
): AsyncGenerator<string> {
  yield head(report);
  if (report.error) yield errorBlock(report.error, options);
  yield* failureSections(report, options);
  yield noticeList(report);
  const durations = new Durations();
  const slowest: TenantResult[] = [];
  const total = [...results.servers.values()].reduce((sum, { tenants }) => sum + tenants, 0);
  yield `<section><h2>Tenants</h2>\n${legend(report)}<p class="note">In the order in which they finished.</p>\n`;
  for (const [server, { tenants }] of results.servers) {
    const heading = `${server}: ${plural(tenants, 'tenant')}`;
    if (results.servers.size > 1) yield `<h3>${escapeMarkup(heading)}</h3>\n`;
    yield `<ol class="tiles${total <= MOST_NAMED ? ' named' : ''}" aria-label="${escapeAttribute(heading)}">\n`;
    for await (const result of results.read(server)) {
      if (result.attempts > 0) durations.add(result.durationMs);
      keepSlowest(slowest, result);
      yield tile(result, total <= MOST_NAMED);
    }
    yield '</ol>\n';
  }
  yield '</section>\n';
  yield histogram(durations.bars());
  yield slowestTable(slowest);
  yield PAGE_END;
}

function head(report: RunReport): string {
  const { verb, selection, run, counts, durationMs, startedAt, toolVersion, interrupted } = report;
  const wrong =
    counts.failed + counts.refused + counts.busy + (counts.drifted ?? 0) > 0 || report.error !== undefined;
  const verdict = interrupted
    ? 'Interrupted: finished work is recorded'
    : wrong
      ? `${plural(counts.failed + counts.refused + counts.busy, 'tenant')} of ${count(counts.total)} failed`
      : counts.total === 0
        ? 'No tenant matches: nothing to do'
        : `All ${plural(counts.total, 'tenant')} are done`;
  return pageHead({
    command: `${verb} ${selection}`,
    about: run === null ? '' : `run ${run}`,
    verdict,
    fine: !wrong && !interrupted,
    facts: [
      ['Run', run === null ? 'not recorded' : String(run)],
      ['Started', `${startedAt.slice(0, 19).replace('T', ' ')} UTC`],
      ['Took', duration(durationMs)],
      ['mpm-migrate', toolVersion],
    ],
  });
}

function legend({ counts }: RunReport): string {
  const shown = outcomes().filter((outcome) => (counts[outcome] ?? 0) > 0);
  const items = shown.map(
    (outcome) =>
      `<li><i class="tile ${outcome}" aria-hidden="true">${LETTERS[outcome]}</i> <b>${count(counts[outcome] ?? 0)}</b> ${outcome}</li>`,
  );
  return `<ul class="legend">${items.join('')}</ul>\n`;
}

function outcomes(): Outcome[] {
  return Object.keys(LETTERS) as Outcome[];
}

function tile({ tenant, outcome, error, reason, to, durationMs }: TenantResult, named: boolean): string {
  const name = tenantName(tenant);
  const said = error?.message ?? reason ?? (to ? `at ${to}` : '');
  const title = `${name}: ${outcome}, ${duration(durationMs)}${said ? `\n${said}` : ''}`;
  const text = named ? ` <span>${escapeMarkup(name)}</span>` : '';
  return `<li class="tile ${outcome}" title="${escapeAttribute(title)}">${LETTERS[outcome]}${text}</li>\n`;
}

function keepSlowest(slowest: TenantResult[], result: TenantResult): void {
  if (result.attempts === 0) return;
  const last = slowest.at(-1);
  if (slowest.length >= MOST_SLOW && last && result.durationMs <= last.durationMs) return;
  const at = slowest.findIndex(({ durationMs }) => durationMs < result.durationMs);
  slowest.splice(at < 0 ? slowest.length : at, 0, result);
  slowest.length = Math.min(slowest.length, MOST_SLOW);
}
