import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import { paceFlags } from '../../flags.ts';
import type { TenantChange } from '../../../tenants/change.ts';

export default class TenantHold extends FleetCommand {
  static override summary = 'Put a tenant on hold: up passes it by, and the application is refused';

  static override description = `Then waits until nobody is at work in its database any more, and the transactions that began there before have ended:
once this has ended with 0, no run of this fleet changes anything there, nor does the application through its sessions.
With 5 it is on hold as well, but somebody is still at work.`;

  static override examples = ['<%= config.bin %> <%= command.id %> 42 --reason "restoring a backup"'];

  static override args = {
    tenant: Args.string({ description: 'Id, name or database', required: true }),
  };

  static override flags = {
    reason: Flags.string({ description: 'Shown wherever it is passed by', required: true }),
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
