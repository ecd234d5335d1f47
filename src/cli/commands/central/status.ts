import { Flags } from '@oclif/core';
import type { CentralStatus } from '../../../central/schema/status.ts';
import { FleetCommand } from '../../command.ts';
import { EXIT } from '../../../errors.ts';

export default class CentralStatusCommand extends FleetCommand {
  static override summary = 'Show the status of the central database';

  static override examples = ['<%= config.bin %> <%= command.id %>'];

  static override flags = {
    'exit-code': Flags.boolean({ description: 'Exit with 4 if "central up" has something to do' }),
  };

  async run(): Promise<CentralStatus> {
    const { flags } = await this.parse(CentralStatusCommand);
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { centralStatus } = await import('../../../central/schema/status.ts');
    const status = await centralStatus(config);
    const { centralStatusText } = await import('../../../ui/views/central.ts');
    this.show(centralStatusText(status, out));
    if (flags['exit-code'] && !status.upToDate) process.exitCode = EXIT.found;
    return status;
  }
}
