import { Args } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import type { TenantChange } from '../../../tenants/change.ts';

export default class TenantRename extends FleetCommand {
  static override summary = 'Rename a tenant; the database keeps its name';

  static override examples = ['<%= config.bin %> <%= command.id %> 42 "Acme Holding"'];

  static override args = {
    tenant: Args.string({ description: 'ID, name, or database', required: true }),
    name: Args.string({ description: 'New name', required: true }),
  };

  async run(): Promise<TenantChange> {
    const { args, flags } = await this.parse(TenantRename);
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { rename } = await import('../../../tenants/change.ts');
    const change = await rename(config, args.tenant, args.name);
    const { tenantChangedText } = await import('../../../ui/views/tenants.ts');
    this.show(tenantChangedText(change, out));
    return change;
  }
}
