import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import type { TenantChange } from '../../../tenants/change.ts';

export default class TenantDrop extends FleetCommand {
  static override summary = "Drop a tenant's database and its row";

  static override description = `Asks you to type the tenant's name. Outside a terminal, pass --confirm. If this is killed, the tenant stays on hold: drop
it again to finish.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> 42',
    '<%= config.bin %> <%= command.id %> 42 --confirm "Acme Ltd"',
  ];

  static override args = {
    tenant: Args.string({ description: 'ID, name, or database', required: true }),
  };

  static override flags = {
    confirm: Flags.string({ description: "The tenant's name, to skip the prompt", helpValue: 'NAME' }),
    disconnect: Flags.boolean({ description: 'End other sessions in the database' }),
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
