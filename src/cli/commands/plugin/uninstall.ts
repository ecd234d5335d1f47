import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import { outputFlags, paceFlags, selectionFlags, selectionFrom } from '../../flags.ts';
import type { RunReport } from '../../../fleet/report/report.ts';

const { behind: _, ...selection } = selectionFlags;

export default class PluginUninstall extends FleetCommand {
  static override summary = 'Take a plugin from one tenant, from some or from all';

  static override description = `A tenant in which its migrations are applied is refused, unless it is said what becomes of them. Its database is
changed first and the central database last: after a failure, the same command goes on.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> meters --tenant 42 --down',
    '<%= config.bin %> <%= command.id %> meters --tenant 42 --keep',
  ];

  static override args = {
    name: Args.string({ description: 'One of "plugin list"', required: true }),
  };

  static override flags = {
    ...selection,
    down: Flags.boolean({
      description: 'Take its migrations back: what they made goes, with the data in it',
      exclusive: ['keep'],
    }),
    'leave-later': Flags.boolean({
      description: 'With --down: also where later migrations of others mention what goes',
      dependsOn: ['down'],
    }),
    keep: Flags.boolean({ description: 'Leave its tables, and its part of the history' }),
    ...paceFlags,
    ...outputFlags,
  };

  async run(): Promise<RunReport> {
    const { args, flags } = await this.parse(PluginUninstall);
    const { down, keep, 'leave-later': leaveLater } = flags;
    const chosen = selectionFrom(flags);
    return this.runFleet(flags, async ({ config, ...options }) => {
      const { uninstallPlugin } = await import('../../../fleet/verbs/plugin-uninstall.ts');
      return uninstallPlugin(config, args.name, chosen, { ...options, down, keep, leaveLater });
    });
  }
}
