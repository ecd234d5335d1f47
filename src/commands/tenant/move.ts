import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../cli/command.ts';
import type { TenantChange } from '../../tenant/change.ts';

export default class TenantMove extends FleetCommand {
  static override summary = 'Point a tenant to another server, after its database was moved there';

  static override description = `Moves no data. The database there must have the history of the old one, to the times at which each migration was
applied: hold the tenant, copy its database (pg_dump and restore), then move it and release it.`;

  static override examples = ['<%= config.bin %> <%= command.id %> 42 --server eu'];

  static override args = {
    tenant: Args.string({ description: 'Id, name or database', required: true }),
  };

  static override flags = {
    server: Flags.string({ description: 'One of "servers" in the configuration', required: true }),
    database: Flags.string({ description: 'Its name there (default: as it is)' }),
    'without-old': Flags.boolean({ description: 'The old database is gone: compare with nothing' }),
  };

  async run(): Promise<TenantChange> {
    const { args, flags } = await this.parse(TenantMove);
    const { server, database, 'without-old': withoutOld } = flags;
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { move } = await import('../../tenant/move.ts');
    const input = { server, withoutOld, ...(database === undefined ? {} : { database }) };
    const change = await move(config, args.tenant, input);
    const { tenantChangedText } = await import('../../ui/views/tenants.ts');
    this.show(tenantChangedText(change, out));
    return change;
  }
}
