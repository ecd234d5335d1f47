import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { outputFlags, paceFlags, selectionFlags, selectionFrom } from '../flags.ts';
import type { RunRow } from '../../central/runs.ts';
import type { Config } from '../../config/define.ts';
import type { StatusReport } from '../../fleet/report/status-report.ts';

export default class Status extends FleetCommand {
  static override summary = 'Show the status of tenants';

  static override description = `Shows all tenants unless you select some, and the whole history of a single one (--tenant 42). Reads head stamps, and
connects only where a stamp is missing or doesn't match the files. Writes nothing and takes no lock.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --tenant 42',
    '<%= config.bin %> <%= command.id %> --label tier=gold --matrix',
  ];

  static override flags = {
    ...selectionFlags,
    deep: Flags.boolean({
      description: 'Read every history, in case a stamp is stale',
    }),
    matrix: Flags.boolean({ description: 'Show in which migrations tenants differ' }),
    'exit-code': Flags.boolean({
      description: 'Exit with 4 if something is pending or drifted',
    }),
    concurrency: paceFlags.concurrency,
    events: outputFlags.events,
    report: Flags.string({
      description: 'Write the fleet as a page: html=FILE',
      helpValue: 'html=FILE',
      helpGroup: 'output',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<StatusReport> {
    const { flags } = await this.parse(Status);
    const { all, tenant, label, failed, behind } = flags;
    // Looking needs no consent: nobody named means everybody.
    const nobody = !(all || tenant?.some((name) => !name.startsWith('-')) || label || failed || behind);
    const selection = selectionFrom({ ...flags, all: all || nobody });
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const outputs = await this.outputsOf(flags, {
      html: async () => (await import('../../ui/report/status-html.ts')).statusHtml,
    });
    const { runOnTerminal } = await import('../on-terminal.ts');
    const { status } = await import('../../fleet/verbs/status.ts');
    const report = await runOnTerminal(
      display,
      { quiet: flags.quiet, json: this.jsonEnabled(), outputs },
      ({ onEvent, signal }) =>
        status(config, selection, { onEvent, signal, deep: flags.deep, matrix: flags.matrix }),
    );
    const { statusText } = await import('../../ui/views/status.ts');
    if (outputs?.takesStdout) process.stderr.write(statusText(report, display.err));
    else this.show(statusText(report, display.out));
    const { statusExitCode } = await import('../exit-code.ts');
    process.exitCode = statusExitCode(report, { exitCode: flags['exit-code'] });
    if (outputs) {
      const page = flags.report && { report, runs: await lastRunsOf(config) };
      await this.finishOutputs(outputs, page, display);
    }
    return report;
  }
}

/** So many stand on the page. */
const RUNS = 10;

/** None where they can't be read: the page is of the tenants. */
async function lastRunsOf(config: Config): Promise<RunRow[]> {
  const { withCentral } = await import('../../central/central.ts');
  const { listRuns } = await import('../../central/runs.ts');
  return withCentral(config, (central) => listRuns(central, { limit: RUNS })).catch(() => []);
}
