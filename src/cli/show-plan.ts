import type { Config } from '../config/define.ts';
import type { PlanReport } from '../fleet/plan-report.ts';
import type { Selection } from '../fleet/select.ts';
import { plan } from '../fleet/verbs/plan.ts';
import { planText } from '../ui/views/plan.ts';
import type { Display } from './command.ts';
import { conductOnTerminal } from './conduct.ts';
import { planExitCode } from './exit-code.ts';
import { type PastFlags, pastFrom } from './flags.ts';

/** What `plan` and `up --dry-run` have in common: the look with its progress, the exit code, the report as text. */
export async function showPlan(
  { config, display, json }: { config: Config; display: Display; json: boolean },
  selection: Selection,
  flags: PastFlags & {
    quiet?: boolean;
    to?: string | undefined;
    sql?: boolean;
    'exit-code'?: boolean;
  },
): Promise<{ report: PlanReport; text: string }> {
  const { quiet = false, to, sql = false } = flags;
  const report = await conductOnTerminal(display, { quiet, json }, ({ onEvent, signal }) =>
    plan(config, selection, {
      onEvent,
      signal,
      sql,
      ...pastFrom(flags),
      ...(to === undefined ? {} : { to }),
    }),
  );
  process.exitCode = planExitCode(report, { exitCode: flags['exit-code'] ?? false });
  return { report, text: planText(report, display.out, { shortPath: display.shortPath, sql }) };
}
