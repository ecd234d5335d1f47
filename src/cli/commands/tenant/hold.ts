import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import { paceFlags } from '../../flags.ts';
import type { TenantChange } from '../../../tenants/change.ts';

export default class TenantHold extends FleetCommand {
  static override summary = "Hold a tenant: up skips it and the application can't connect";

  static override description = `Waits until runs and open transactions in the database have ended. Exit code 0: no run and no application session changes
anything there any more. Exit code 5: the tenant is on hold, but something is still running.`;

  static override examples = ['<%= config.bin %> <%= command.id %> 42 --reason "restoring a backup"'];

  static override args = {
    tenant: Args.string({ description: 'ID, name, or database', required: true }),
  };

  static override flags = {
    reason: Flags.string({ description: 'Shown wherever the tenant is skipped', required: true }),
    'lock-wait': paceFlags['lock-wait'],
  };

  async run(): Promise<TenantChange> {
    const { args, flags } = await this.parse(TenantHold);
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { hold } = await import('../../../tenants/change.ts');
    const { interruptible } = await import('../../interrupt.ts');
    const change = await interruptible((signal) =>
      hold(config, args.tenant, { reason: flags.reason, signal }),
    );
    const { tenantChangedText } = await import('../../../ui/views/tenants.ts');
    this.show(tenantChangedText(change, out));
    return change;
  }
}
