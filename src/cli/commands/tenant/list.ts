import { Flags } from '@oclif/core';
import type { Tenant } from '../../../central/list/tenant.ts';
import { FleetCommand } from '../../command.ts';
import { labelsFrom } from '../../flags.ts';

export default class TenantList extends FleetCommand {
  static override summary = 'List tenants';

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --label tier=gold',
    '<%= config.bin %> <%= command.id %> --status provisioning',
  ];

  static override flags = {
    label: Flags.string({
      description: 'Tenants with this label; repeat to require several',
      helpValue: 'tier=gold',
      multiple: true,
      multipleNonGreedy: true,
    }),
    status: Flags.string({ description: 'Tenants with this status', helpValue: 'hold' }),
    server: Flags.string({ description: 'Tenants on this server', helpValue: 'eu' }),
  };

  async run(): Promise<{ tenants: Tenant[] }> {
    const { flags } = await this.parse(TenantList);
    const { label, status, server } = flags;
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { listTenants } = await import('../../../tenants/show.ts');
    const filter = {
      labels: labelsFrom(label),
      ...(status === undefined ? {} : { status }),
      ...(server === undefined ? {} : { server }),
    };
    const tenants = await listTenants(config, filter);
    const narrowed = status !== undefined || server !== undefined || label !== undefined;
    const { tenantListText } = await import('../../../ui/views/tenants.ts');
    this.show(tenants.length === 0 && narrowed ? 'No tenant like that.\n' : tenantListText(tenants, out));
    return { tenants };
  }
}
