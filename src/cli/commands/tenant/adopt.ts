import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import { labelsFrom } from '../../flags.ts';
import type { TenantChange } from '../../../tenants/change.ts';

export default class TenantAdopt extends FleetCommand {
  static override summary = 'Register an existing database as a tenant';

  static override description =
    'Changes nothing in the database. If it has tables but no history, run "baseline" before "up".';

  static override examples = ['<%= config.bin %> <%= command.id %> "Acme Ltd" --database acme'];

  static override args = { name: Args.string({ description: "The tenant's name", required: true }) };

  static override flags = {
    database: Flags.string({ description: 'Exact name of the database', required: true }),
    server: Flags.string({ description: 'A name in "servers" of the configuration' }),
    label: Flags.string({
      description: 'Label; repeatable',
      helpValue: 'tier=gold',
      multiple: true,
      multipleNonGreedy: true,
    }),
    id: Flags.string({ description: 'ID (default: the next one)', helpValue: '42' }),
  };

  async run(): Promise<TenantChange> {
    const { args, flags } = await this.parse(TenantAdopt);
    const { database, server, label, id } = flags;
    const given = Object.entries({ server, id }).filter(([, value]) => value !== undefined);
    const input = { name: args.name, database, labels: labelsFrom(label), ...Object.fromEntries(given) };
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { adopt } = await import('../../../tenants/adopt.ts');
    const change = await adopt(config, input);
    const { tenantChangedText } = await import('../../../ui/views/tenants.ts');
    this.show(tenantChangedText(change, out));
    return change;
  }
}
