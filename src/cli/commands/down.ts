import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { outputFlags, paceFlags, pastFrom, selectionFlags, selectionFrom } from '../flags.ts';
import type { RunReport } from '../../fleet/report/report.ts';

export default class Down extends FleetCommand {
  static override summary = 'Take back what was applied last to a tenant';

  static override description = `Runs the down sections in reverse order of application, each in a transaction of its own together with its row's end.
Without --steps or --to it takes back one migration.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --tenant 42',
    '<%= config.bin %> <%= command.id %> --tenant 42 --steps 3',
    '<%= config.bin %> <%= command.id %> --tenant 42 --to 20260801101500_add_tariffs',
  ];

  static override flags = {
    tenant: selectionFlags.tenant,
    exclude: selectionFlags.exclude,
    steps: Flags.integer({ description: 'How many to take back', helpValue: '1', min: 1, exclusive: ['to'] }),
    to: Flags.string({
      description: 'Take back all that came after this one; 0 takes back everything',
      helpValue: 'NAME',
    }),
    force: Flags.boolean({ description: 'Also when the tenant is not active or its files were changed' }),
    'include-held': Flags.boolean({ description: 'Also when it is on hold' }),
    'accept-changed': Flags.boolean({ description: 'With the file as it is now, where it was changed' }),
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
