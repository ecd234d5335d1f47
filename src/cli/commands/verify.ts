import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { outputFlags, paceFlags, selectionFlagsButBehind, selectionFrom } from '../flags.ts';
import type { VerifyReport } from '../../fleet/report/verify-report.ts';
import { selectsByName } from '../../fleet/select.ts';

export default class Verify extends FleetCommand {
  static override summary = "Compare tenants' schemas with their histories";

  static override description = `Applies each history's migrations to a new database on the tenant's server, compares, and drops it. Checks all tenants
unless you select some. Shows the SQL that fixes a tenant that you name. Writes nothing to tenants. Exits with 4 if a tenant differs.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --tenant 42',
  ];

  static override flags = {
    ...selectionFlagsButBehind,
    sql: Flags.boolean({ description: 'Show the SQL that fixes each difference' }),
    comments: Flags.boolean({ description: 'Compare comments, too' }),
    concurrency: paceFlags.concurrency,
    ...outputFlags,
  };

  async run(): Promise<VerifyReport> {
    const { flags } = await this.parse(Verify);
    const { all, tenant, label, failed, behind } = flags;
    // Looking needs no consent: nobody named means everybody.
    const nobody = !(all || tenant?.some((name) => !name.startsWith('-')) || label || failed || behind);
    const selection = selectionFrom({ ...flags, all: all || nobody });
    const { verifyText } = await import('../../ui/views/verify.ts');
    return this.runFleet<VerifyReport>(
      flags,
      async ({ config, onEvent, signal, cancel }) => {
        const { verify } = await import('../../fleet/verbs/verify.ts');
        return verify(config, selection, { onEvent, signal, cancel, comments: flags.comments });
      },
      {
        text: (report, theme, options) =>
          verifyText(report, theme, { ...options, sql: flags.sql || selectsByName(selection) }),
      },
    );
  }
}
