import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import { outputFlags, paceFlags, selectionFlags, selectionFrom } from '../../flags.ts';
import type { RunReport } from '../../../fleet/report/report.ts';

const { behind: _, ...selection } = selectionFlags;

export default class PluginUninstall extends FleetCommand {
  static override summary = 'Uninstall a plugin from tenants';

  static override description = `If the plugin's migrations are applied, pass --down or --keep. After a failure, run the same command to continue.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> meters --tenant 42 --down',
    '<%= config.bin %> <%= command.id %> meters --tenant 42 --keep',
  ];

  static override args = {
    name: Args.string({ description: 'A plugin in "plugin list"', required: true }),
  };

  static override flags = {
    ...selection,
    down: Flags.boolean({
      description: 'Revert its migrations, with their data',
      exclusive: ['keep'],
    }),
    'leave-later': Flags.boolean({
      description: 'With --down: ignore later migrations that mention it',
      dependsOn: ['down'],
    }),
    keep: Flags.boolean({ description: 'Keep its tables and its history' }),
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
