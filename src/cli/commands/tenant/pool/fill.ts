import { Flags } from '@oclif/core';
import { FleetCommand } from '../../../command.ts';
import { EXIT, MpmError } from '../../../../errors.ts';
import { paceFlags } from '../../../flags.ts';
import type { PoolReport } from '../../../../tenants/create/pool.ts';

const { concurrency: _, ...pace } = paceFlags;

export default class TenantPoolFill extends FleetCommand {
  static override summary = 'Create databases ahead of time for new tenants';

  static override description = `"tenant create" then renames one of them. Databases of older files are never used, and this command replaces them: run it
after each release, and as often as tenants arrive.`;

  static override examples = ['<%= config.bin %> <%= command.id %> --size 5'];

  static override flags = {
    size: Flags.string({ description: 'Number of databases to keep ready', helpValue: '5', required: true }),
    server: Flags.string({ description: 'A name in "servers" of the configuration', helpValue: 'eu' }),
    ...pace,
  };

  async run(): Promise<PoolReport> {
    const { flags } = await this.parse(TenantPoolFill);
    const { size, server } = flags;
    if (!/^\d{1,4}$/.test(size)) {
      throw new MpmError('USAGE', `--size ${size}: no number`, { hint: 'For instance --size 5' });
    }
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const [{ fillPool }, { interruptible }] = await Promise.all([
      import('../../../../tenants/create/pool.ts'),
      import('../../../interrupt.ts'),
    ]);
    const wanted = { size: Number(size), ...(server === undefined ? {} : { server }) };
    const report = await interruptible((signal, cancel) => fillPool(config, wanted, { signal, cancel }));
    const { poolReportText } = await import('../../../../ui/views/pool.ts');
    this.show(poolReportText(report, out));
    if (report.filesChanged) process.exitCode = EXIT.found;
    return report;
  }
}
