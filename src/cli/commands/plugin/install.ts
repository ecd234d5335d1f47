import { Args } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import { outputFlags, paceFlags, selectionFlags, selectionFrom } from '../../flags.ts';
import type { RunReport } from '../../../fleet/report/report.ts';

const { behind: _, ...selection } = selectionFlags;

export default class PluginInstall extends FleetCommand {
  static override summary = 'Install a plugin for tenants';

  static override description = `Records the plugin, and applies its migrations and the core migrations before its last one. Skips tenants that have it.
After a failure, run this command or "up" again to continue.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> meters --tenant 42',
    '<%= config.bin %> <%= command.id %> meters --label tier=gold',
  ];

  static override args = {
    name: Args.string({ description: 'A plugin in "plugin list"', required: true }),
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
