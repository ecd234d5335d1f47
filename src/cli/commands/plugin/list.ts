import { Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import type { PluginList as Report } from '../../../fleet/verbs/plugin-list.ts';

export default class PluginList extends FleetCommand {
  static override summary = 'List plugins, and how many tenants have them';

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --tenant 42',
  ];

  static override flags = {
    tenant: Flags.string({
      description: 'Show which plugins this tenant has: ID, name, or database',
      helpValue: '42',
    }),
  };

  async run(): Promise<Report> {
    const { flags } = await this.parse(PluginList);
    const { tenant } = flags;
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { listPlugins } = await import('../../../fleet/verbs/plugin-list.ts');
    const report = await listPlugins(config, tenant === undefined ? {} : { tenant });
    const { pluginListText } = await import('../../../ui/views/plugins.ts');
    this.show(pluginListText(report, out));
    return report;
  }
}
