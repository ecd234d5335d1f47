import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { outputFlags, paceFlags, selectionFlags, selectionFrom, pastFlags, pastFrom } from '../flags.ts';
import type { PlanReport } from '../../fleet/report/plan-report.ts';
import type { RunReport } from '../../fleet/report/report.ts';

export default class Up extends FleetCommand {
  static override summary = 'Apply what is pending to one tenant, to some or to all';

  static override description = `Each migration runs in a transaction of its own, together with its row in the tenant's history. What fails at one
tenant does not stop the others. Running it again goes on where it ended.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --all',
    '<%= config.bin %> <%= command.id %> --tenant 42 --tenant kivu-grid',
    '<%= config.bin %> <%= command.id %> --failed',
    '<%= config.bin %> <%= command.id %> --all --strict --max-failures 2%',
  ];

  static override flags = {
    ...selectionFlags,
    to: Flags.string({
      description: 'Go no further than this migration: name or version',
      helpValue: 'NAME',
    }),
    ...pastFlags,
    strict: Flags.boolean({
      description: 'Look at all of them first; migrate none when one would be refused',
    }),
    fast: Flags.boolean({
      description:
        'Connect to nobody whose head stamp says that nothing is pending. A database restored over another can carry a stale stamp: without this flag the history itself is always read',
    }),
    'dry-run': Flags.boolean({ description: 'Only show what would be run, as "plan" does' }),
    'max-failures': Flags.string({
      description: 'Start no further tenant after so many failures, or this share of all',
      helpValue: '25|2%',
      exclusive: ['fail-fast'],
    }),
    'fail-fast': Flags.boolean({ description: 'The same as --max-failures 1' }),
    canary: Flags.string({
      description: 'So many first, or this share of all; the others only when none of them failed',
      helpValue: '5|1%',
    }),
    pause: Flags.boolean({ description: 'Ask before each wave but the first; needs a terminal' }),
    'run-key': Flags.string({
      description: 'Slices of one deployment with the same key are one run of the ledger',
      helpValue: 'KEY',
    }),
    ...paceFlags,
    ...outputFlags,
  };

  async run(): Promise<RunReport | PlanReport> {
    const { flags } = await this.parse(Up);
    const selection = selectionFrom(flags);
    if (flags['dry-run']) {
      const { showPlan } = await import('../show-report.ts');
      const [config, display] = await Promise.all([this.settings(flags), this.display()]);
      const { report, text } = await showPlan(
        { config, display, json: this.jsonEnabled() },
        selection,
        flags,
      );
      this.show(text);
      return report;
    }
    const { to, strict, fast, 'max-failures': maxFailures, 'fail-fast': failFast, canary, pause } = flags;
    if (pause) (await import('../confirm.ts')).requireTerminal({ json: this.jsonEnabled() });
    return this.runFleet(flags, async ({ config, onEvent, signal, cancel, ask }) => {
      const { up } = await import('../../fleet/verbs/up.ts');
      return up(config, selection, {
        onEvent,
        signal,
        cancel,
        ...pastFrom(flags),
        strict,
        fast,
        failFast,
        ...(flags['run-key'] ? { runKey: flags['run-key'] } : {}),
        ...(canary === undefined ? {} : { canary }),
        ...(pause ? { beforeWave: ask } : {}),
        ...(to === undefined ? {} : { to }),
        ...(maxFailures === undefined ? {} : { maxFailures }),
      });
    });
  }
}
