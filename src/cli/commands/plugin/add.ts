import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import type { AddedPlugin } from '../../../fleet/verbs/plugin-list.ts';

export default class PluginAdd extends FleetCommand {
  static override summary = 'Register a plugin';

  static override description = `The plugin's migrations are in migrations/plugins/NAME/. To change the title, run this again.`;

  static override examples = ['<%= config.bin %> <%= command.id %> meters --title "Smart meters"'];

  static override args = {
    name: Args.string({ description: 'Name of its folder', required: true }),
  };

  static override flags = {
    title: Flags.string({ description: 'Title to display', helpValue: 'TITLE' }),
  };

  async run(): Promise<AddedPlugin> {
    const { args, flags } = await this.parse(PluginAdd);
    const { title } = flags;
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { makeInstallable } = await import('../../../fleet/verbs/plugin-list.ts');
    const added = await makeInstallable(config, args.name, title === undefined ? {} : { title });
    const { pluginAddedText } = await import('../../../ui/views/plugins.ts');
    this.show(pluginAddedText(added, out));
    return added;
  }
}
