import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import type { TenantChange } from '../../../tenants/change.ts';

export default class TenantMove extends FleetCommand {
  static override summary = 'Point a tenant to where its database was copied, or renamed';

  static override description = `Copies no data. Put the tenant on hold, copy its database (pg_dump and restore), move it, release it. The old database is
closed to everybody (allow_connections false), then the two are compared: the history, each sequence, and each table row
by row. When anything differs, the old one is opened again, and the tenant stays where it is. A database that was only
renamed is known, and needs neither.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> 42 --server eu',
    '<%= config.bin %> <%= command.id %> 42 --database acme_new',
  ];

  static override args = {
    tenant: Args.string({ description: 'Id, name or database', required: true }),
  };

  static override flags = {
    server: Flags.string({ description: 'One of "servers" in the configuration (default: as it is)' }),
    database: Flags.string({ description: 'Its name there (default: as it is)' }),
    disconnect: Flags.boolean({ description: 'End the sessions of others in the old database' }),
    'counts-only': Flags.boolean({
      description: 'Compare how many rows the tables have, not what is in them',
    }),
    'without-old': Flags.boolean({ description: 'The old database is gone: compare with nothing' }),
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
