import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { paceFlags } from '../flags.ts';
import { EXIT } from '../../errors.ts';
import type { TenantRef } from '../../fleet/report/report.ts';
import type { ProvisionReport } from '../../tenants/create/creation.ts';

const { concurrency: _, ...pace } = paceFlags;

export default class Fresh extends FleetCommand {
  static override summary = "Recreate a tenant's database, migrated and empty";

  static override description = `Destroys all data in it. Asks you to type the database's name. If this is killed, run "tenant create --resume".`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --tenant 42',
    '<%= config.bin %> <%= command.id %> --tenant 42 --confirm acme_ltd --disconnect',
  ];

  static override flags = {
    tenant: Flags.string({ description: 'Tenant by ID, name, or database', helpValue: '42', required: true }),
    confirm: Flags.string({
      description: "The database's name, to skip the prompt",
      helpValue: 'NAME',
    }),
    disconnect: Flags.boolean({
      description: 'End other sessions in the database',
    }),
    ...pace,
  };

  async run(): Promise<ProvisionReport> {
    const { flags } = await this.parse(Fresh);
    const { tenant, disconnect, confirm: given } = flags;
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const [{ fresh }, { interruptible }, { confirmName }] = await Promise.all([
      import('../../fleet/verbs/fresh.ts'),
      import('../interrupt.ts'),
      import('../confirm.ts'),
    ]);
    const { oneLine } = await import('../../ui/format.ts');
    const confirm = ({ id, name, database }: TenantRef) =>
      confirmName({
        name: database,
        what: `The database of ${oneLine(name)} (${id}) and everything in it will be destroyed.`,
        given,
        quiet: this.jsonEnabled(),
      });
    const report = await interruptible((signal, cancel) =>
      fresh(config, tenant, { disconnect, confirm, signal, cancel }),
    );
    const { tenantAnewText } = await import('../../ui/views/tenants.ts');
    this.show(tenantAnewText(report, out));
    if (report.filesChanged) process.exitCode = EXIT.found;
    return report;
  }
}
