import { Args } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import { outputFlags, paceFlags, selectionFlags, selectionFrom } from '../../flags.ts';
import type { RunReport } from '../../../fleet/report/report.ts';

const { behind: _, ...selection } = selectionFlags;

export default class PluginInstall extends FleetCommand {
  static override summary = 'Install a plugin for one tenant, for some or for all';

  static override description = `Records it in the central database, then applies its migrations, with those of core that come before its last one.
From then on "up" applies core and the plugin in one order. Who has it already is left as it is; after a failure,
the same command or "up" goes on.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> meters --tenant 42',
    '<%= config.bin %> <%= command.id %> meters --label tier=gold',
  ];

  static override args = {
    name: Args.string({ description: 'One of "plugin list"', required: true }),
  };

  static override flags = { ...selection, ...paceFlags, ...outputFlags };

  async run(): Promise<RunReport> {
    const { args, flags } = await this.parse(PluginInstall);
    const chosen = selectionFrom(flags);
    return this.runFleet(flags, async ({ config, ...options }) => {
      const { installPlugin } = await import('../../../fleet/verbs/plugin-install.ts');
      return installPlugin(config, args.name, chosen, options);
    });
  }
}
