import type { AddedPlugin, PluginList } from '../../fleet/verbs/plugin-list.ts';
import { idWord } from '../../shell-word.ts';
import { count, oneLine, plural, table } from '../format.ts';
import type { Theme } from '../theme.ts';
import { tenantName } from './tenant.ts';

/** The plugins there are, a line each. */
export function pluginListText({ plugins, tenant }: PluginList, theme: Theme): string {
  const { command } = theme;
  if (plugins.length === 0) return `No plugins yet:   ${command('mpm-migrate plugin add NAME')}\n`;
  const right = { align: 'right' as const };
  const columns = [
    { title: 'PLUGIN', flexible: true },
    { title: 'TITLE', flexible: true },
    { title: 'MIGRATIONS', ...right },
    { title: 'TENANTS', ...right },
    ...(tenant ? [{ title: tenantName(tenant), flexible: true }] : []),
    { title: 'NOTE', flexible: true },
  ];
  const cells = plugins.map(({ name, title, installable, migrations, tenants, installed }) => [
    oneLine(name),
    oneLine(title ?? ''),
    migrations === null ? '' : count(migrations),
    count(tenants),
    ...(tenant ? [installed ? 'installed' : ''] : []),
    migrations === null ? 'its folder is missing' : installable ? '' : 'not registered',
  ]);
  const lines = table(columns, cells, {
    width: theme.width,
    ellipsis: theme.symbols.ellipsis,
    heading: theme.dim,
  });
  const ready = plugins.find(
    ({ installable, installed, migrations }) => installable && !installed && migrations,
  );
  const whom = tenant ? idWord(tenant.id) : '42';
  const next = ready
    ? `\nInstall one:  ${command(`mpm-migrate plugin install ${ready.name} --tenant ${whom}`)}\n`
    : addLine(plugins, theme);
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n${next}`;
}

function addLine(plugins: PluginList['plugins'], { command }: Theme): string {
  const waiting = plugins.find(({ installable }) => !installable);
  return waiting ? `\nRegister one:   ${command(`mpm-migrate plugin add ${waiting.name}`)}\n` : '';
}

/** A plugin that can be installed from now on. */
export function pluginAddedText({ name, title, migrations, changed }: AddedPlugin, theme: Theme): string {
  const called = title === null ? '' : ` (${oneLine(title)})`;
  const did = changed ? 'is registered' : 'was already registered';
  return `${theme.good(theme.symbols.tick)} ${theme.strong(name)}${called} ${did}  ${theme.dim(plural(migrations, 'migration'))}
Install it:  ${theme.command(`mpm-migrate plugin install ${name} --tenant 42`)}
`;
}
