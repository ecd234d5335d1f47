import type { Tenant } from '../../central/list/tenant.ts';
import { sizeText } from '../../size.ts';
import { idWord } from '../../shell-word.ts';
import type { TenantChange } from '../../tenants/change.ts';
import type { ProvisionReport } from '../../tenants/create/creation.ts';
import type { TenantDetails } from '../../tenants/show.ts';
import { count, duration, nameList, oneLine, plural, table } from '../format.ts';
import type { Theme } from '../theme.ts';
import { errorView } from './error.ts';

/** Tenants, a line each, and how many there are. */
export function tenantListText(tenants: readonly Tenant[], theme: Theme): string {
  if (tenants.length === 0)
    return `No tenants yet:   ${theme.command('mpm-migrate tenant create "Acme Ltd"')}\n`;
  const columns = [
    { title: 'ID', align: 'right' as const },
    { title: 'NAME', flexible: true },
    { title: 'DATABASE', flexible: true },
    { title: 'SERVER', spare: 2 },
    { title: 'STATUS' },
    { title: 'LABELS', flexible: true, spare: 1 },
  ];
  const cells = tenants.map((tenant) => [
    tenant.id,
    oneLine(tenant.name),
    oneLine(tenant.database),
    oneLine(tenant.server),
    oneLine(tenant.status),
    labelsOf(tenant),
  ]);
  const lines = table(columns, cells, {
    width: theme.width,
    ellipsis: theme.symbols.ellipsis,
    heading: theme.dim,
  });
  return `${lines.join('\n')}\n\n${plural(tenants.length, 'tenant')}\n`;
}

/** One tenant: what the central database, its server and its history say. */
export function tenantText({ tenant, database, history, error }: TenantDetails, theme: Theme): string {
  const labels = labelsOf(tenant);
  const size = database?.bytes == null ? '' : `, ${sizeText(database.bytes)}`;
  const rows: [string, string][] = [
    ['id', tenant.id],
    ['database', `${oneLine(tenant.database)}${database?.exists ? size : ''}`],
    ['server', oneLine(tenant.server)],
    ['status', oneLine(tenant.reason ? `${tenant.status}: ${tenant.reason}` : tenant.status)],
    ...(labels ? [['labels', labels] as [string, string]] : []),
    ...(tenant.plugins ? [['plugins', oneLine(tenant.plugins.join(', '))] as [string, string]] : []),
    ...(history ? historyRows(history) : []),
  ];
  const lines = rows.map(([key, value]) => `  ${theme.dim(key.padEnd(8))}  ${value}`);
  const end = error
    ? errorView(error, theme).trimEnd()
    : `Look:  ${theme.command(`mpm-migrate status --tenant ${idWord(tenant.id)}`)}`;
  return `${[theme.strong(oneLine(tenant.name)), ...lines, '', end].join('\n')}\n`;
}

function historyRows({
  head,
  applied,
  pending,
  ownFolder,
}: NonNullable<TenantDetails['history']>): [string, string][] {
  const from = ownFolder ? ', from its own folder' : '';
  const behind = pending.length
    ? `${count(pending.length)} (${nameList(pending.map(oneLine), pending.length, 2)})`
    : 'none';
  return [
    ['at', head ? `${oneLine(head)}  (${plural(applied, 'migration')}${from})` : 'no migrations'],
    ['pending', behind],
  ];
}

/** A tenant that was just made ready. */
export function tenantCreatedText(report: ProvisionReport, theme: Theme): string {
  const { tenant, applied, durationMs, head, source, notices } = report;
  const at = head ? `  at ${oneLine(head)}` : source === 'tenant' ? '' : '  without migrations';
  const from = {
    pool: 'from the pool',
    template: 'from the template',
    tenant: 'copied',
    migrations: plural(applied.length, 'migration'),
  };
  return (
    `${noticeLines(notices, theme)}${theme.good(theme.symbols.tick)} ${theme.strong(oneLine(tenant.name))} is tenant ${tenant.id}, ` +
    `database ${oneLine(tenant.database)}${at}  ${theme.dim(`${from[source]} in ${duration(durationMs)}`)}\n`
  );
}

/** A tenant that was made again from nothing. */
export function tenantAnewText({ tenant, head, durationMs, notices }: ProvisionReport, theme: Theme): string {
  const at = head ? `at ${oneLine(head)}` : 'without migrations';
  return (
    `${noticeLines(notices, theme)}${theme.good(theme.symbols.tick)} ${theme.strong(oneLine(tenant.name))} has a new database ` +
    `${oneLine(tenant.database)}  ${at}  ${theme.dim(`in ${duration(durationMs)}`)}\n`
  );
}

/** What was done to a tenant, in one line. */
export function tenantChangedText({ done, tenant, notices }: TenantChange, theme: Theme): string {
  const { id, database, server, reason } = tenant;
  const labels = labelsOf(tenant) || 'none';
  const what = {
    held: `is on hold${reason ? `: ${oneLine(reason)}` : ''}`,
    released: 'is active again',
    renamed: `is the new name of tenant ${id}; its database is still ${oneLine(database)}`,
    labelled: `has the labels ${labels}`.replace('the labels none', 'no labels'),
    moved: `is on server ${oneLine(server)} now, database ${oneLine(database)}`,
    adopted: `is tenant ${id}, database ${oneLine(database)}`,
    dropped: `was dropped, with the database ${oneLine(database)}`,
  };
  const last = `${theme.good(theme.symbols.tick)} ${theme.strong(oneLine(tenant.name))} ${what[done]}`;
  return `${noticeLines(notices, theme)}${last}\n`;
}

function noticeLines(notices: readonly string[], theme: Theme): string {
  return notices.map((notice) => `${theme.warn(theme.symbols.warning)} ${oneLine(notice)}\n`).join('');
}

function labelsOf({ labels }: Tenant): string {
  return oneLine(
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(' '),
  );
}
