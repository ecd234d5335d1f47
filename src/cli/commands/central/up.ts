import { Flags } from '@oclif/core';
import type { CentralReport } from '../../../central/schema/up.ts';
import { FleetCommand } from '../../command.ts';
import { paceFlags } from '../../flags.ts';

const { concurrency: _, ...pace } = paceFlags;

export default class CentralUp extends FleetCommand {
  static override summary = 'Create and migrate the central database';

  static override description = `Creates the database if it is missing, then the list of companies (unless "tenants" in the configuration names
another one), the ledger of runs, and what is in the folder of your own central migrations. Tables that are there are
adopted with their rows.`;

  static override examples = ['<%= config.bin %> <%= command.id %>'];

  static override flags = {
    to: Flags.string({
      description: 'Go no further than this one of your own migrations',
      helpValue: 'NAME',
    }),
    force: Flags.boolean({ description: 'Resume what was left half-done; apply what is out of order' }),
    ...pace,
  };

  async run(): Promise<CentralReport> {
    const { flags } = await this.parse(CentralUp);
    const { to, force } = flags;
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const [{ centralUp }, { interruptible }] = await Promise.all([
      import('../../../central/schema/up.ts'),
      import('../../interrupt.ts'),
    ]);
    const options = { force, ...(to === undefined ? {} : { to }) };
    const report = await interruptible((signal, cancel) => centralUp(config, { ...options, signal, cancel }));
    const { centralReportText } = await import('../../../ui/views/central.ts');
    this.show(centralReportText(report, out));
    return report;
  }
}
