import { appendFile } from 'node:fs/promises';
import type { RunReport } from '../fleet/report.ts';
import { reportText } from '../ui/report/text.ts';
import type { Display } from './command.ts';

/** The report as text; under GitHub Actions its annotations and step summary are written as well. */
export async function showReport(
  report: RunReport,
  { env, out, shortPath }: Display,
  command?: (lines: string) => void,
): Promise<string> {
  if (command) {
    const { githubAnnotations, githubSummary } = await import('../ui/report/github.ts');
    // On stderr, where GitHub reads them as well: stdout may be one JSON document.
    command(githubAnnotations(report, shortPath));
    const file = env['GITHUB_STEP_SUMMARY'];
    if (file) await appendSummary(file, githubSummary(report));
  }
  return reportText(report, out, { shortPath });
}

/** A summary that cannot be written is a pity, and no reason to fail a run that is done. */
async function appendSummary(file: string, markdown: string): Promise<void> {
  await appendFile(file, markdown).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`The step summary was not written: ${reason}\n`);
  });
}
