import { Flags } from '@oclif/core';
import type { CentralReport } from '../../../central/schema/up.ts';
import { FleetCommand } from '../../command.ts';
import { paceFlags } from '../../flags.ts';

const { concurrency: _, ...pace } = paceFlags;

export default class CentralDown extends FleetCommand {
  static override summary = 'Revert your own central migrations, newest first';

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --to 20260801101500_add_plans',
  ];

  static override flags = {
    steps: Flags.integer({
      description: 'Number of migrations to revert (default 1)',
      min: 1,
      helpValue: '2',
      exclusive: ['to'],
    }),
    to: Flags.string({
      description: 'Revert everything after this migration; 0: everything',
      helpValue: 'NAME',
    }),
    ...pace,
  };

  async run(): Promise<CentralReport> {
    const { flags } = await this.parse(CentralDown);
    const { steps, to } = flags;
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const [{ centralDown }, { interruptible }] = await Promise.all([
      import('../../../central/schema/up.ts'),
      import('../../interrupt.ts'),
    ]);
    const depth = { ...(steps === undefined ? {} : { steps }), ...(to === undefined ? {} : { to }) };
    const report = await interruptible((signal, cancel) => centralDown(config, { ...depth, signal, cancel }));
    const { centralReportText } = await import('../../../ui/views/central.ts');
    this.show(centralReportText(report, out));
    return report;
  }
}
