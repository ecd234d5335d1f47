import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../cli/command.ts';
import type { TenantChange } from '../../tenant/change.ts';

export default class TenantHold extends FleetCommand {
  static override summary = 'Put a tenant on hold: up passes it by, and the application is refused';

  static override examples = ['<%= config.bin %> <%= command.id %> 42 --reason "restoring a backup"'];

  static override args = {
    tenant: Args.string({ description: 'Id, name or database', required: true }),
  };

  static override flags = {
    reason: Flags.string({ description: 'Shown wherever it is passed by', required: true }),
  };

  async run(): Promise<TenantChange> {
    const { args, flags } = await this.parse(TenantHold);
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { hold } = await import('../../tenant/change.ts');
    const change = await hold(config, args.tenant, { reason: flags.reason });
    const { tenantChangedText } = await import('../../ui/views/tenants.ts');
    this.show(tenantChangedText(change, out));
    return change;
  }
}
