import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { outputFlags, paceFlags, selectionFlags, selectionFrom } from '../flags.ts';
import type { StatusReport } from '../../fleet/report/status-report.ts';

export default class Status extends FleetCommand {
  static override summary = 'Show where tenants stand, and what is pending';

  static override description = `Of every selected tenant, of all when none is selected; writes nothing and takes no lock. One query per server reads the
head stamps that migrations leave; tenants without one, or with another history than their files, are looked at one by
one. Of a single tenant (--tenant 42) the whole history is shown.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --tenant 42',
    '<%= config.bin %> <%= command.id %> --all --exit-code',
    '<%= config.bin %> <%= command.id %> --label tier=gold --matrix',
  ];

  static override flags = {
    ...selectionFlags,
    deep: Flags.boolean({
      description: "Read every tenant's history: a database restored over another can carry a stale stamp",
    }),
    matrix: Flags.boolean({ description: 'Show in which migrations the tenants differ' }),
    'exit-code': Flags.boolean({
      description: 'End with 4 when something is pending, behind core or drifted',
    }),
    concurrency: paceFlags.concurrency,
    events: outputFlags.events,
  };

  async run(): Promise<StatusReport> {
    const { flags } = await this.parse(Status);
    const { all, tenant, label, failed, behind } = flags;
    // Looking needs no consent: nobody named means everybody.
    const nobody = !(all || tenant?.some((name) => !name.startsWith('-')) || label || failed || behind);
    const selection = selectionFrom({ ...flags, all: all || nobody });
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const outputs = await this.outputs(flags);
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
    await this.finishOutputs(outputs, undefined, display);
    return report;
  }
}
