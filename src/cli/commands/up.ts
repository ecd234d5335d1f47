import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import {
  lagFlag,
  lagFrom,
  outputFlags,
  paceFlags,
  selectionFlags,
  selectionFrom,
  pastFlags,
  phaseFlag,
  pastFrom,
} from '../flags.ts';
import type { PlanReport } from '../../fleet/report/plan-report.ts';
import { rehearsalFlags } from '../run-rehearsal.ts';
import type { RehearseReport } from '../../fleet/report/rehearse-report.ts';
import type { RunReport } from '../../fleet/report/report.ts';

const OF_REHEARSAL = { hidden: true, dependsOn: ['rehearse'] };

export default class Up extends FleetCommand {
  static override summary = 'Apply pending migrations to tenants';

  static override description = `Each migration runs in its own transaction, together with its history row. A tenant that fails doesn't stop the others. Run
the command again to continue where it ended.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --all',
    '<%= config.bin %> <%= command.id %> --tenant 42 --tenant kivu-grid',
    '<%= config.bin %> <%= command.id %> --failed',
    '<%= config.bin %> <%= command.id %> --all --strict --max-failures 2%',
  ];

  static override flags = {
    ...selectionFlags,
    to: Flags.string({
      description: 'Stop after this migration: name or version',
      helpValue: 'NAME',
    }),
    ...pastFlags,
    ...phaseFlag,
    strict: Flags.boolean({
      description: 'Check all tenants first; stop if one would be refused',
    }),
    fast: Flags.boolean({
      description: 'Skip tenants whose head stamp says nothing is pending',
    }),
    'dry-run': Flags.boolean({ description: 'Show what would run, like "plan"' }),
    rehearse: Flags.boolean({
      description: 'Run it and roll it back, like "rehearse"',
      exclusive: ['dry-run', 'strict', 'fast', 'canary', 'pause', 'run-key'],
    }),
    // In the help of `rehearse`.
    'lock-limit': { ...rehearsalFlags['lock-limit'], ...OF_REHEARSAL },
    'max-size': { ...rehearsalFlags['max-size'], ...OF_REHEARSAL },
    modules: { ...rehearsalFlags.modules, ...OF_REHEARSAL },
    'max-failures': Flags.string({
      description: 'Start no more tenants after this many failures',
      helpValue: '25|2%',
      exclusive: ['fail-fast'],
    }),
    'fail-fast': Flags.boolean({ description: 'Same as --max-failures 1' }),
    canary: Flags.string({
      description: 'Migrate this many first; stop if one fails',
      helpValue: '5|1%',
    }),
    pause: Flags.boolean({ description: 'Ask before each wave except the first' }),
    'run-key': Flags.string({
      description: 'Make slices with the same key one run',
      helpValue: 'KEY',
    }),
    ...lagFlag,
    ...paceFlags,
    ...outputFlags,
  };

  async run(): Promise<RunReport | PlanReport | RehearseReport> {
    const { flags } = await this.parse(Up);
    const selection = selectionFrom(flags);
    if (flags.rehearse) {
      const { runRehearsal } = await import('../run-rehearsal.ts');
      return this.runFleet<RehearseReport>(flags, ...runRehearsal(selection, flags));
    }
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
        ...lagFrom(flags),
      });
    });
  }
}
