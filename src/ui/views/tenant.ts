import type { TenantRef } from '../../fleet/report/report.ts';
import { idWord } from '../../shell-word.ts';
import { bounded } from '../../text.ts';
import { oneLine, count, nameList } from '../format.ts';
import type { Theme } from '../theme.ts';

/** A tenant as people know it. */
export function tenantName({ name, database, id }: TenantRef): string {
  return oneLine(bounded(name)) || oneLine(bounded(database)) || oneLine(id);
}

/** Who is behind core, and what brings core into their folders: `sync` of these alone, where there are few. */
export function behindCoreLines(
  { foldersBehind, behindCore = [] }: { foldersBehind: number; behindCore?: readonly TenantRef[] },
  { warn, symbols, command }: Theme,
): string[] {
  if (foldersBehind === 0) return [];
  const names = nameList(behindCore.map(tenantName), foldersBehind);
  const one = foldersBehind === 1;
  const few = foldersBehind === behindCore.length;
  const which = few ? behindCore.map((tenant) => ` --tenant ${idWord(tenant.id)}`).join('') : '';
  const what = `${one ? 'is' : 'are'} behind core: ${one ? 'its own folder lacks' : 'their own folders lack'} core migrations${behindCore.length ? ` (${names})` : ''}`;
  return [
    `${warn(symbols.warning)} ${count(foldersBehind)} ${what}:  ${command(`mpm-migrate sync${which}`)}`,
  ];
}

/** What is wrong with a selection of which nobody was touched: the last line of a report. */
export function unmetLine(unmet: string, selection: string): string {
  return `Nothing was done for ${oneLine(selection)}: ${oneLine(unmet)}.`;
}
