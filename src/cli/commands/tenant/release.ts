import { Args } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import type { TenantChange } from '../../../tenants/change.ts';

export default class TenantRelease extends FleetCommand {
  static override summary = 'Take a tenant off hold';

  static override examples = ['<%= config.bin %> <%= command.id %> 42'];

  static override args = {
    tenant: Args.string({ description: 'ID, name, or database', required: true }),
  };

  async run(): Promise<TenantChange> {
    const { args, flags } = await this.parse(TenantRelease);
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { release } = await import('../../../tenants/change.ts');
    const change = await release(config, args.tenant);
    const { tenantChangedText } = await import('../../../ui/views/tenants.ts');
    this.show(tenantChangedText(change, out));
    return change;
  }
}
