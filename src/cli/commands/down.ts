import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { outputFlags, paceFlags, pastFrom, selectionFlags, selectionFrom } from '../flags.ts';
import type { RunReport } from '../../fleet/report/report.ts';

export default class Down extends FleetCommand {
  static override summary = 'Revert the last applied migrations of a tenant';

  static override description = `Runs down sections in reverse order, each in its own transaction. Reverts one migration unless you pass --steps or --to.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --tenant 42 --steps 3',
    '<%= config.bin %> <%= command.id %> --tenant 42 --to 20260801101500_add_tariffs',
  ];

  static override flags = {
    tenant: selectionFlags.tenant,
    exclude: selectionFlags.exclude,
    steps: Flags.integer({
      description: 'Number of migrations to revert',
      helpValue: '1',
      min: 1,
      exclusive: ['to'],
    }),
    to: Flags.string({
      description: 'Revert everything after this migration; 0: everything',
      helpValue: 'NAME',
    }),
    force: Flags.boolean({ description: "Ignore changed files and a tenant that isn't active" }),
    'include-held': Flags.boolean({ description: 'Include tenants on hold' }),
    'accept-changed': Flags.boolean({ description: 'Run changed files as they are now' }),
    ...paceFlags,
    ...outputFlags,
  };

  async run(): Promise<RunReport> {
    const { flags } = await this.parse(Down);
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
      });
    });
  }
}
