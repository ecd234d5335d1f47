import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import type { AddedPlugin } from '../../../fleet/verbs/plugin-list.ts';

export default class PluginAdd extends FleetCommand {
  static override summary = 'Make a plugin installable';

  static override description = `Its migrations are in a folder of its name in the folder of plugins, by default migrations/plugins/NAME/. Again with
another title, it gets that one.`;

  static override examples = ['<%= config.bin %> <%= command.id %> meters --title "Smart meters"'];

  static override args = {
    name: Args.string({ description: 'What its folder is called', required: true }),
  };

  static override flags = {
    title: Flags.string({ description: 'What people call it', helpValue: 'TITLE' }),
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
