import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import { labelsFrom } from '../../flags.ts';
import type { ProvisionReport } from '../../../tenants/create/creation.ts';

export default class TenantClone extends FleetCommand {
  static override summary = "Create a tenant with a copy of another tenant's database";

  static override description =
    "The copy is on the same server. PostgreSQL can't copy a database with open sessions: --disconnect ends them.";

  static override examples = ['<%= config.bin %> <%= command.id %> 42 "Acme Test" --label stage=test'];

  static override args = {
    tenant: Args.string({ description: 'The original: ID, name, or database', required: true }),
    name: Args.string({ description: "The new tenant's name", required: true }),
  };

  static override flags = {
    database: Flags.string({ description: 'Exact name of the database (default: from NAME)' }),
    label: Flags.string({
      description: "Label; repeatable (default: the original's)",
      helpValue: 'tier=gold',
      multiple: true,
      multipleNonGreedy: true,
    }),
    id: Flags.string({ description: 'ID (default: the next one)', helpValue: '43' }),
    disconnect: Flags.boolean({ description: 'End other sessions in the original' }),
  };

  async run(): Promise<ProvisionReport> {
    const { args, flags } = await this.parse(TenantClone);
    const { database, label, id, disconnect } = flags;
    const labels = label && labelsFrom(label);
    const given = Object.entries({ database, labels, id }).filter(([, value]) => value !== undefined);
    const input = { name: args.name, disconnect, ...Object.fromEntries(given) };
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const [{ clone }, { interruptible }] = await Promise.all([
      import('../../../tenants/clone.ts'),
      import('../../interrupt.ts'),
    ]);
    const report = await interruptible((signal, cancel) =>
      clone(config, args.tenant, input, { signal, cancel }),
    );
    const { tenantCreatedText } = await import('../../../ui/views/tenants.ts');
    this.show(tenantCreatedText(report, out));
    return report;
  }
}
