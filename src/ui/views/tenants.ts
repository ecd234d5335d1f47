import type { Tenant } from '../../central/tenant.ts';
import { oneLine, plural, table } from '../format.ts';
import type { Theme } from '../theme.ts';
import { tenantWord } from './tenant.ts';

/** Tenants, a line each, and how many there are. */
export function tenantListText(tenants: readonly Tenant[], theme: Theme): string {
  if (tenants.length === 0)
    return `No tenant yet:  ${theme.command('mpm-migrate tenant create "Acme Ltd"')}\n`;
  const columns = [
    { title: 'ID', align: 'right' as const },
    { title: 'NAME', flexible: true },
    { title: 'DATABASE', flexible: true },
    { title: 'SERVER' },
    { title: 'STATUS' },
    { title: 'LABELS', flexible: true },
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

/** All that the central database says of one tenant. */
export function tenantText(tenant: Tenant, theme: Theme): string {
  const labels = labelsOf(tenant);
  const rows: [string, string][] = [
    ['id', tenant.id],
    ['database', oneLine(tenant.database)],
    ['server', oneLine(tenant.server)],
    ['status', oneLine(tenant.reason ? `${tenant.status}: ${tenant.reason}` : tenant.status)],
    ...(labels ? [['labels', labels] as [string, string]] : []),
  ];
  const lines = rows.map(([key, value]) => `  ${theme.dim(key.padEnd(8))}  ${value}`);
  const look = `Look:  ${theme.command(`mpm-migrate status --tenant ${tenantWord(tenant)}`)}`;
  return `${[theme.strong(oneLine(tenant.name)), ...lines, '', look].join('\n')}\n`;
}

function labelsOf({ labels }: Tenant): string {
  return oneLine(
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(' '),
  );
}
