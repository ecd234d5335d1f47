import type { MendReport } from '../fleet/mend-report.ts';
import { shellWord } from '../shell-word.ts';
import { mendText } from '../ui/views/mend.ts';
import type { Display, FleetRun } from './command.ts';
import { conductOnTerminal } from './conduct.ts';

/** What the verbs that change histories have in common: the work with its progress, and the report as text. */
export async function showMend(
  display: Display,
  options: { quiet: boolean; json: boolean; argv: readonly string[]; command: string },
  work: (run: Omit<FleetRun, 'config'>) => Promise<MendReport>,
): Promise<{ report: MendReport; text: string }> {
  const report = await conductOnTerminal(display, options, work);
  const words = options.argv.map(shellWord);
  const again = [options.command, ...words].join(' ');
  return { report, text: mendText(report, display.out, { shortPath: display.shortPath, again }) };
}
