import { Flags } from '@oclif/core';
import { FleetCommand } from '../../../command.ts';
import type { PoolReport } from '../../../../tenants/create/pool.ts';

export default class TenantPoolDrain extends FleetCommand {
  static override summary = 'Drop the databases in the pool';

  static override examples = ['<%= config.bin %> <%= command.id %>'];

  static override flags = {
    server: Flags.string({ description: 'A name in "servers" of the configuration', helpValue: 'eu' }),
  };

  async run(): Promise<PoolReport> {
    const { flags } = await this.parse(TenantPoolDrain);
    const { server } = flags;
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { drainPool } = await import('../../../../tenants/create/pool.ts');
    const report = await drainPool(config, server === undefined ? {} : { server });
    const { poolReportText } = await import('../../../../ui/views/pool.ts');
    this.show(poolReportText(report, out));
    return report;
  }
}
