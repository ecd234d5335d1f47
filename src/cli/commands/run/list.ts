import { Flags } from '@oclif/core';
import type { RunRow } from '../../../central/runs.ts';
import { FleetCommand } from '../../command.ts';

export default class RunList extends FleetCommand {
  static override summary = 'List past runs, newest first';

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --limit 100',
  ];

  static override flags = {
    limit: Flags.integer({ description: 'Number of runs', default: 20, min: 1, max: 10_000 }),
    before: Flags.integer({ description: 'Only runs before this one', helpValue: '184', min: 1 }),
    verb: Flags.string({ description: 'Only runs of this command', helpValue: 'up' }),
  };

  async run(): Promise<{ runs: RunRow[] }> {
    const { flags } = await this.parse(RunList);
    const { limit, before, verb } = flags;
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { withCentral } = await import('../../../central/central.ts');
    const { listRuns } = await import('../../../central/runs.ts');
    const page = {
      limit,
      ...(before === undefined ? {} : { before }),
      ...(verb === undefined ? {} : { verb }),
    };
    const runs = await withCentral(config, (central) => listRuns(central, page));
    const { runListText } = await import('../../../ui/views/runs.ts');
    this.show(runListText(runs, out));
    return { runs };
  }
}
