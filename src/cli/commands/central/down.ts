import { Flags } from '@oclif/core';
import type { CentralReport } from '../../../central/schema/up.ts';
import { FleetCommand } from '../../command.ts';
import { paceFlags } from '../../flags.ts';

const { concurrency: _, ...pace } = paceFlags;

export default class CentralDown extends FleetCommand {
  static override summary = 'Take back your own central migrations, the last one first';

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --to 20260801101500_add_plans',
  ];

  static override flags = {
    steps: Flags.integer({ description: 'How many (default 1)', min: 1, helpValue: '2', exclusive: ['to'] }),
    to: Flags.string({
      description: 'All that came after this one; 0 takes back everything',
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
