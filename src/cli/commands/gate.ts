import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { outputFlags, paceFlags, selectionFlagsButBehind, selectionFrom } from '../flags.ts';
import type { GateReport } from '../../fleet/report/gate-report.ts';

export default class Gate extends FleetCommand {
  static override summary = 'Check that all tenants have a migration';

  static override description = `For a step of a deployment: exits with 0 if all tenants have the migration and all before it, and with 4 if not. Checks all
tenants unless you select some; tenants on hold don't count. Reads head stamps, and connects only where a stamp doesn't say enough.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --at-least 20260301120000_add_note',
    '<%= config.bin %> <%= command.id %> --at-least 20260301120000_add_note --wait 10min',
  ];

  static override flags = {
    'at-least': Flags.string({
      description: 'The migration: name or version',
      helpValue: 'NAME',
      required: true,
    }),
    wait: Flags.string({
      description: 'Check again until all have it, at most this long',
      helpValue: '10min',
    }),
    'include-held': Flags.boolean({ description: 'Count tenants on hold' }),
    ...selectionFlagsButBehind,
    concurrency: paceFlags.concurrency,
    events: outputFlags.events,
  };

  async run(): Promise<GateReport> {
    const { flags } = await this.parse(Gate);
    const { all, tenant, label, failed, behind, wait } = flags;
    // Looking needs no consent: nobody named means everybody.
    const nobody = !(all || tenant?.some((name) => !name.startsWith('-')) || label || failed || behind);
    const selection = selectionFrom({ ...flags, all: all || nobody });
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const outputs = await this.outputs(flags);
    const { runOnTerminal } = await import('../on-terminal.ts');
    const { gate } = await import('../../fleet/verbs/gate.ts');
    const report = await runOnTerminal(
      display,
      { quiet: flags.quiet ?? false, json: this.jsonEnabled(), outputs },
      ({ onEvent, signal }) =>
        gate(config, selection, {
          onEvent,
          signal,
          atLeast: flags['at-least'],
          includeHeld: flags['include-held'],
          ...(wait === undefined ? {} : { wait }),
        }),
    );
    const { gateText } = await import('../../ui/views/gate.ts');
    if (outputs?.takesStdout) process.stderr.write(gateText(report, display.err));
    else this.show(gateText(report, display.out));
    const { gateExitCode } = await import('../exit-code.ts');
    process.exitCode = gateExitCode(report);
    await this.finishOutputs(outputs, undefined, display);
    return report;
  }
}
