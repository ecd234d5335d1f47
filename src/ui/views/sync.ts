import type { ErrorReport } from '../../errors.ts';
import type { FolderChange, SyncReport } from '../../fleet/verbs/sync.ts';
import { count, duration, nameList, oneLine, plural } from '../format.ts';
import type { Theme } from '../theme.ts';
import { tenantName } from './tenant.ts';

/** How many held folders, of one kind each, are explained; the others are counted. */
const MOST_EXPLAINED = 10;

/** What `sync` did, or with `--check` and `--dry-run`, would do. The last line is the most important one. */
export function syncText(report: SyncReport, theme: Theme): string {
  const { symbols, warn, command } = theme;
  const lines = heldLines(report, theme);
  if (report.dry) lines.push(...changeLines(report.changes, theme));
  if (report.stale) {
    const copies = `${plural(report.stale, 'copy', 'copies')} of core files that are gone`;
    lines.push(`${warn(symbols.warning)} ${copies}:  ${command('mpm-migrate sync --prune')}`);
  }
  const { orphans = [], lacking = [] } = report;
  for (const { file, import: name } of lacking.slice(0, MOST_EXPLAINED)) {
    const what = `${file} imports ${name} from outside the core folder: a copy can't find it after core's file changes`;
    lines.push(
      `${warn(symbols.warning)} ${oneLine(what)}`,
      '    Move the imported file into a subfolder of core.',
    );
  }
  if (orphans.length) {
    const what =
      orphans.length === 1
        ? 'a folder belongs to no tenant'
        : `${count(orphans.length)} folders belong to no tenant`;
    lines.push(
      `${warn(symbols.warning)} ${what}: ${nameList(orphans)}`,
      `    Move them away, or assign one to a tenant:   ${command('mpm-migrate sync --claim --tenant ID')}`,
    );
  }
  return `${[...lines, summary(report, theme)].join('\n')}\n`;
}

function summary(report: SyncReport, { symbols, good, bad, warn, dim }: Theme): string {
  const { tenants, following, changes, held, dry, files } = report;
  if (report.unmet !== undefined)
    return `${bad(symbols.cross)} Nothing was copied: ${oneLine(report.unmet)}.`;
  if (tenants === 0 && !report.interrupted) return `${good(symbols.tick)} No tenants: nothing to copy`;
  const changed = new Set(changes.map(({ tenant }) => tenant.id));
  const current =
    tenants - following - changes.length - held.filter(({ tenant }) => !changed.has(tenant.id)).length;
  const what = amounts(report, dry).join(', ');
  const done = changes.length
    ? `${dry ? warn(symbols.warning) : good(symbols.tick)} ${plural(changes.length, 'folder')} ${dry ? 'out of date' : 'synced with core'} (${what})`
    : '';
  const parts = [
    done,
    current ? `${done ? '' : `${good(symbols.tick)} `}${count(current)} current` : '',
    following ? `${done || current ? '' : `${good(symbols.tick)} `}${count(following)} without a folder` : '',
    held.length ? `${bad(symbols.cross)} ${count(held.length)} not synced` : '',
    report.interrupted ? warn('interrupted: run it again') : '',
    dim(`${plural(tenants, 'tenant')}, ${plural(files, 'core file')}, ${duration(report.durationMs)}`),
  ];
  return parts.filter(Boolean).join('   ');
}

function changeLines(changes: readonly FolderChange[], { dim }: Theme): string[] {
  const shown = changes
    .slice(0, MOST_EXPLAINED)
    .map((change) => `  ${tenantName(change.tenant)}  ${dim(amounts(change, true).join(', '))}`);
  const more = changes.length - shown.length;
  return more > 0 ? [...shown, `  and ${count(more)} more`] : shown;
}

function amounts({ copied, updated, pruned }: Omit<FolderChange, 'tenant'>, dry: boolean): string[] {
  const each: [number, string, string][] = [
    [copied, 'copied', 'to copy'],
    [updated, 'replaced', 'to replace'],
    [pruned, 'removed', 'to remove'],
  ];
  return each.flatMap(([number, did, would]) => (number ? [`${count(number)} ${dry ? would : did}`] : []));
}

/** Equal messages are told once, with the tenants' names. */
function heldLines({ held }: SyncReport, { symbols, bad, strong }: Theme): string[] {
  const groups = new Map<string, { error: ErrorReport; names: string[] }>();
  for (const { tenant, error } of held) {
    const group = groups.get(error.message) ?? { error, names: [] };
    group.names.push(tenantName(tenant));
    groups.set(error.message, group);
  }
  const shown = [...groups.values()]
    .slice(0, MOST_EXPLAINED)
    .flatMap(({ error, names }) => [
      `${bad(symbols.cross)} ${strong(nameList(names))}`,
      `    ${oneLine(error.message)}`,
      ...(error.hint ? [`    ${oneLine(error.hint)}`] : []),
    ]);
  const more = groups.size - MOST_EXPLAINED;
  return more > 0 ? [...shown, `  and ${count(more)} more problems: use --json to list them`] : shown;
}
