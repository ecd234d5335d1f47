import { Flags } from '@oclif/core';
import { FleetCommand } from '../../../command.ts';
import type { PoolStatus } from '../../../../tenants/create/pool.ts';

export default class TenantPoolStatus extends FleetCommand {
  static override summary = 'Count the databases in the pool';

  static override examples = ['<%= config.bin %> <%= command.id %>'];

  static override flags = {
    server: Flags.string({ description: 'A name in "servers" of the configuration', helpValue: 'eu' }),
  };

  async run(): Promise<{ pools: PoolStatus[] }> {
    const { flags } = await this.parse(TenantPoolStatus);
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { poolStatus } = await import('../../../../tenants/create/pool.ts');
    const pools = await poolStatus(config, flags.server);
    const { poolStatusText } = await import('../../../../ui/views/pool.ts');
    this.show(poolStatusText(pools, out));
    return { pools };
  }
}
