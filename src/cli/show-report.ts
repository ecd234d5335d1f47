import { appendFile } from 'node:fs/promises';
import type { Config } from '../config/define.ts';
import type { EditReport } from '../fleet/report/edit-report.ts';
import type { PlanReport } from '../fleet/report/plan-report.ts';
import type { RunReport } from '../fleet/report/report.ts';
import type { Selection } from '../fleet/select.ts';
import { plan } from '../fleet/verbs/plan.ts';
import { shellWord } from '../shell-word.ts';
import { reportText } from '../ui/report/text.ts';
import { editText } from '../ui/views/edits.ts';
import { planText } from '../ui/views/plan.ts';
import type { Display, FleetRun } from './command.ts';
import { runOnTerminal } from './on-terminal.ts';
import { planExitCode } from './exit-code.ts';
import { type PastFlags, pastFrom } from './flags.ts';

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

/** What the verbs that change histories have in common: the work with its progress, and the report as text. */
export async function showEdit(
  display: Display,
  options: { quiet: boolean; json: boolean; argv: readonly string[]; command: string },
  work: (run: Omit<FleetRun, 'config'>) => Promise<EditReport>,
): Promise<{ report: EditReport; text: string }> {
  const report = await runOnTerminal(display, options, work);
  const words = options.argv.map(shellWord);
  const again = [options.command, ...words].join(' ');
  return { report, text: editText(report, display.out, { shortPath: display.shortPath, again }) };
}

/** What `plan` and `up --dry-run` have in common: the look with its progress, the exit code, the report as text. */
export async function showPlan(
  { config, display, json }: { config: Config; display: Display; json: boolean },
  selection: Selection,
  flags: PastFlags & {
    quiet?: boolean;
    to?: string | undefined;
    sql?: boolean;
    impact?: boolean;
    'exit-code'?: boolean;
  },
): Promise<{ report: PlanReport; text: string }> {
  const { quiet = false, to, sql = false, impact = false } = flags;
  const report = await runOnTerminal(display, { quiet, json }, ({ onEvent, signal }) =>
    plan(config, selection, {
      onEvent,
      signal,
      sql,
      impact,
      ...pastFrom(flags),
      ...(to === undefined ? {} : { to }),
    }),
  );
  process.exitCode = planExitCode(report, { exitCode: flags['exit-code'] ?? false });
  return { report, text: planText(report, display.out, { shortPath: display.shortPath, sql }) };
}
