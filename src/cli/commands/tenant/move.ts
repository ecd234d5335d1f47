import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import type { TenantChange } from '../../../tenants/change.ts';

export default class TenantMove extends FleetCommand {
  static override summary = 'Point a tenant to its copied or renamed database';

  static override description = `First hold the tenant, and copy the database with pg_dump. This closes the old database, compares the two row by row, and
then changes the tenant's row. If they differ, nothing changes. Afterwards, release the tenant.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> 42 --server eu',
    '<%= config.bin %> <%= command.id %> 42 --database acme_new',
  ];

  static override args = {
    tenant: Args.string({ description: 'ID, name, or database', required: true }),
  };

  static override flags = {
    server: Flags.string({ description: 'New server: a name in "servers" of the configuration' }),
    database: Flags.string({ description: 'New name of the database (default: unchanged)' }),
    disconnect: Flags.boolean({ description: 'End other sessions in the old database' }),
    'counts-only': Flags.boolean({
      description: 'Compare the number of rows only',
    }),
    'without-old': Flags.boolean({ description: "Don't compare: the old database is gone" }),
  };

  async run(): Promise<TenantChange> {
    const { args, flags } = await this.parse(TenantMove);
    const { server, database, disconnect, 'counts-only': countsOnly, 'without-old': withoutOld } = flags;
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { move } = await import('../../../tenants/move/move.ts');
    const { interruptible } = await import('../../interrupt.ts');
    const place = {
      ...(server === undefined ? {} : { server }),
      ...(database === undefined ? {} : { database }),
    };
    const change = await interruptible((signal) =>
      move(config, args.tenant, { ...place, disconnect, countsOnly, withoutOld, signal }),
    );
    const { tenantChangedText } = await import('../../../ui/views/tenants.ts');
    this.show(tenantChangedText(change, out));
    return change;
  }
}
