import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { outputFlags, paceFlags, pastFrom, selectionFlags, selectionFrom } from '../flags.ts';
import type { RunReport } from '../../fleet/report/report.ts';

export default class Down extends FleetCommand {
  static override summary = 'Revert the last applied migrations of a tenant';

  static override description = `Runs down sections in reverse order, each in its own transaction. Reverts one migration unless you pass --steps, --to, or --run.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --tenant 42 --steps 3',
    '<%= config.bin %> <%= command.id %> --run 184',
  ];

  static override flags = {
    tenant: selectionFlags.tenant,
    exclude: selectionFlags.exclude,
    steps: Flags.integer({
      description: 'Number of migrations to revert',
      helpValue: '1',
      min: 1,
      exclusive: ['to', 'run'],
    }),
    to: Flags.string({
      description: 'Revert everything after this migration; 0: everything',
      helpValue: 'NAME',
    }),
    run: Flags.integer({
      description: 'Revert what this run applied, where it did',
      helpValue: '184',
      min: 1,
      exclusive: ['to'],
    }),
    force: Flags.boolean({ description: "Ignore changed files and a tenant that isn't active" }),
    'include-held': Flags.boolean({ description: 'Include tenants on hold' }),
    'accept-changed': Flags.boolean({ description: 'Run changed files as they are now' }),
    'max-failures': Flags.string({
      description: 'Start no more tenants after this many failures',
      helpValue: '25|2%',
    }),
    ...paceFlags,
    ...outputFlags,
  };

  async run(): Promise<RunReport> {
    const { flags } = await this.parse(Down);
    const { 'max-failures': maxFailures } = flags;
    const selection = selectionFrom(flags);
    return this.runFleet(flags, async ({ config, onEvent, signal, cancel }) => {
      const { down } = await import('../../fleet/verbs/down.ts');
      return down(config, selection, {
        onEvent,
        signal,
        cancel,
        ...pastFrom(flags),
        ...(flags.steps === undefined ? {} : { steps: flags.steps }),
        ...(flags.to === undefined ? {} : { to: flags.to }),
        ...(maxFailures === undefined ? {} : { maxFailures }),
      });
    });
  }
}
