import { withCentral } from '../../central/central.ts';
import { readTools } from '../../central/tools.ts';
import type { Config } from '../../config/define.ts';
import { grownText } from '../tool-watch.ts';
import { status } from '../verbs/status.ts';
import type { Add } from './findings.ts';

/** Whether other tools whose histories were taken over have gone on since (histories 11). */
export async function judgeTools(
  config: Config,
  add: Add,
  options: { signal?: AbortSignal | undefined },
): Promise<void> {
  const known = await withCentral(config, readTools);
  if (known.size === 0) return;
  const { grown = [] } = await status(config, { all: true }, { ...options, onRow: () => undefined });
  for (const each of grown) add('tenants', 'warning', grownText(each), each.remedy);
  if (grown.length) return;
  const tools = [...new Set([...known.values()].map(({ tool }) => tool))].toSorted().join(', ');
  add('tenants', 'ok', `taken over from ${tools}: ${known.size}; nothing was applied there since`);
}
