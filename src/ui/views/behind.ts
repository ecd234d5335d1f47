import type { TenantRef } from '../../fleet/report.ts';
import { idWord } from '../../shell-word.ts';
import { count, nameList } from '../format.ts';
import type { Theme } from '../theme.ts';
import { tenantName } from './tenant.ts';

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
