import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import type { TenantChange } from '../../../tenants/change.ts';

export default class TenantDrop extends FleetCommand {
  static override summary = 'Drop a tenant: its database with everything in it, and its row';

  static override description = `Asks for the tenant's name on a terminal; anywhere else --confirm must give it. When it was killed, the tenant is
listed as on hold, and dropping it again ends the work.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> 42',
    '<%= config.bin %> <%= command.id %> 42 --confirm "Acme Ltd"',
  ];

  static override args = {
    tenant: Args.string({ description: 'Id, name or database', required: true }),
  };

  static override flags = {
    confirm: Flags.string({ description: "The tenant's name", helpValue: 'NAME' }),
    disconnect: Flags.boolean({ description: 'End the sessions of others in its database' }),
  };

  async run(): Promise<TenantChange> {
    const { args, flags } = await this.parse(TenantDrop);
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const [{ drop, lookUp }, { confirmName }] = await Promise.all([
      import('../../../tenants/drop.ts'),
      import('../../confirm.ts'),
    ]);
    const { id, name, database, server } = await lookUp(config, args.tenant);
    const what = `The database "${database}" of ${name} (${id}) on server "${server}" will be dropped, with everything in it.`;
    await confirmName({ name, what, given: flags.confirm, quiet: this.jsonEnabled() });
    const change = await drop(config, id, { confirm: name, disconnect: flags.disconnect });
    const { tenantChangedText } = await import('../../../ui/views/tenants.ts');
    this.show(tenantChangedText(change, out));
    return change;
  }
}
