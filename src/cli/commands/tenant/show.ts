import { Args } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import type { TenantDetails } from '../../../tenants/show.ts';

export default class TenantShow extends FleetCommand {
  static override summary = 'Show a tenant: its row, database, and history';

  static override examples = [
    '<%= config.bin %> <%= command.id %> 42',
    '<%= config.bin %> <%= command.id %> "Acme Ltd"',
  ];

  static override args = {
    tenant: Args.string({ description: 'ID, name, or database', required: true }),
  };

  async run(): Promise<TenantDetails> {
    const { args, flags } = await this.parse(TenantShow);
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { showTenant } = await import('../../../tenants/show.ts');
    const details = await showTenant(config, args.tenant);
    const { tenantText } = await import('../../../ui/views/tenants.ts');
    this.show(tenantText(details, out));
    return details;
  }
}
