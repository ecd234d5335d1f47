import { Flags } from '@oclif/core';
import type { CentralReport } from '../../../central/schema/up.ts';
import { FleetCommand } from '../../command.ts';
import { paceFlags } from '../../flags.ts';

const { concurrency: _, ...pace } = paceFlags;

export default class CentralUp extends FleetCommand {
  static override summary = 'Create and migrate the central database';

  static override description = `Creates the database, the tables that list tenants (unless you configured your own), and the ledger, and applies your own
central migrations. Adopts existing tables with their rows.`;

  static override examples = ['<%= config.bin %> <%= command.id %>'];

  static override flags = {
    to: Flags.string({
      description: 'Stop after this migration of your own',
      helpValue: 'NAME',
    }),
    force: Flags.boolean({ description: 'Resume half-done migrations; apply out-of-order ones' }),
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
