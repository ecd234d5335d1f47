import type { ErrorReport } from '../../errors.ts';
import type { FailureGroup, RunReport, TenantResult } from '../../fleet/report/report.ts';
import { idWord } from '../../shell-word.ts';
import { count, duration, plural } from '../format.ts';
import { aftermathLines, type ErrorViewOptions, messageLines } from '../views/error.ts';
import { tenantName } from '../views/tenant.ts';
import { type DurationBar, escapeMarkup } from './markup.ts';

/** So many names of a group are written out; `run show N --failed` has the rest. */
const MOST_NAMES = 500;
/** So many groups are open when the file is opened. */
const OPEN = 3;
/** Pixels of the highest bar. */
const TALLEST = 130;

/** One block per group of equal failures: who, what, where in the SQL, what to type. */
export function* failureSections({ failures }: RunReport, options: ErrorViewOptions): Generator<string> {
  if (failures.length === 0) return;
  yield '<section><h2>What went wrong</h2>\n';
  for (const [index, group] of failures.entries()) yield failure(group, index < OPEN, options);
  yield '</section>\n';
}

function failure(
  { error, count: total, tenants, at }: FailureGroup,
  open: boolean,
  options: ErrorViewOptions,
): string {
  const [first] = tenants;
  const [message = '', ...more] = messageLines(error);
  const names = tenants.slice(0, MOST_NAMES).map((tenant) => escapeMarkup(tenantName(tenant)));
  const rest = total - names.length;
  const hint = error.hint?.replaceAll('{tenant}', first ? idWord(first.id) : 'NAME');
  return `<details class="failure"${open ? ' open' : ''}>
<summary><b>${plural(total, 'tenant')}</b> ${escapeMarkup(message)}</summary>
${error.migration ? `<p>In <code>${escapeMarkup(error.migration)}</code></p>\n` : ''}${more.length ? `<pre class="message">${escapeMarkup(more.join('\n'))}</pre>\n` : ''}${error.database?.detail ? `<p>${escapeMarkup(error.database.detail)}</p>\n` : ''}${excerpt(error, options)}${paragraphs(aftermathLines(error.aftermath, at))}${hint ? `<pre class="hint">${escapeMarkup(hint)}</pre>\n` : ''}<p class="names">${names.join(', ')}${rest > 0 ? ` and ${count(rest)} more` : ''}</p>
</details>
`;
}

function excerpt({ excerpt: found }: ErrorReport, { shortPath }: ErrorViewOptions): string {
  if (!found) return '';
  const lines = found.lines.map(({ number, text, failing }) => {
    const line = `${failing ? '▸' : ' '} ${String(number).padStart(4)} │ ${escapeMarkup(text)}`;
    return failing ? `<mark>${line}</mark>` : line;
  });
  const place = `${shortPath?.(found.file) ?? found.file}:${found.line}:${found.column}`;
  return `<figure><figcaption><code>${escapeMarkup(place)}</code></figcaption><pre class="sql">${lines.join('\n')}</pre></figure>\n`;
}

function paragraphs(lines: readonly string[]): string {
  return lines.map((line) => `<p>${escapeMarkup(line)}</p>\n`).join('');
}

/** What the run itself could not do. */
export function errorBlock(error: ErrorReport, options: ErrorViewOptions): string {
  return `<section class="failure"><h2>The run itself</h2><pre class="message">${escapeMarkup(messageLines(error).join('\n'))}</pre>
${excerpt(error, options)}${error.hint ? `<pre class="hint">${escapeMarkup(error.hint)}</pre>` : ''}</section>\n`;
}

export function noticeList({ notices, skipped, foldersBehind }: RunReport): string {
  const lines = [
    ...skipped.map((entry) => `${plural(entry.count, 'tenant')} skipped: ${entry.reason}`),
    ...notices,
    ...(foldersBehind > 0
      ? [`${plural(foldersBehind, 'tenant')} with a folder behind core: mpm-migrate sync`]
      : []),
  ];
  if (lines.length === 0) return '';
  const items = lines.map((line) => `<li>${escapeMarkup(line)}</li>`);
  return `<section><h2>Notices</h2><ul>${items.join('')}</ul></section>\n`;
}

/** Bars of how many tenants took how long; each bar says its number as text as well. */
export function histogram(bars: readonly DurationBar[]): string {
  if (bars.length === 0) return '';
  const most = Math.max(...bars.map((bar) => bar.count));
  const columns = bars.map(
    ({ label, count: number }) =>
      `<li><span class="number">${number ? count(number) : ''}</span><span class="bar" style="height:${Math.ceil((number / most) * TALLEST)}px"></span><span class="label">${escapeMarkup(label)}</span></li>`,
  );
  return `<section><h2>Durations</h2>
<ol class="bars">${columns.join('')}</ol>
<p class="note">Tenants by working time, without waits for retries.</p></section>\n`;
}

export function slowestTable(slowest: readonly TenantResult[]): string {
  if (slowest.length === 0) return '';
  const rows = slowest.map(
    ({ tenant, outcome, applied, attempts, durationMs }) =>
      `<tr><td>${escapeMarkup(tenantName(tenant))}</td><td>${outcome}</td><td>${applied.length}</td><td>${attempts}</td><td>${duration(durationMs)}</td></tr>`,
  );
  return `<section><h2>Slowest tenants</h2>
<table><thead><tr><th>Tenant</th><th>Outcome</th><th>Steps</th><th>Attempts</th><th>Time</th></tr></thead>
<tbody>${rows.join('')}</tbody></table></section>\n`;
}
