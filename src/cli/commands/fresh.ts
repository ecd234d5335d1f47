import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { paceFlags } from '../flags.ts';
import { EXIT } from '../../errors.ts';
import type { TenantRef } from '../../fleet/report/report.ts';
import type { ProvisionReport } from '../../tenants/create/creation.ts';

const { concurrency: _, ...pace } = paceFlags;

export default class Fresh extends FleetCommand {
  static override summary = "Destroy one tenant's database and make it again, migrated and empty";

  static override description = `Asks for the database's name first. When it is killed in between, "tenant list" shows the tenant as provisioning, and
"tenant create --resume" goes on from there.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --tenant 42',
    '<%= config.bin %> <%= command.id %> --tenant 42 --confirm acme_ltd --disconnect',
  ];

  static override flags = {
    tenant: Flags.string({ description: 'This one: id, name or database', helpValue: '42', required: true }),
    confirm: Flags.string({
      description: "Its database's name, instead of being asked for it",
      helpValue: 'NAME',
    }),
    disconnect: Flags.boolean({
      description: 'End other sessions in the database; without, they are an error',
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
        what: `The database of ${oneLine(name)} (${id}) and all that is in it will be destroyed.`,
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
