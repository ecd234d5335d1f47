import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { paceFlags, pastFlags, phaseFlag, selectionFlags, selectionFrom } from '../flags.ts';
import type { PlanReport } from '../../fleet/report/plan-report.ts';

export default class Plan extends FleetCommand {
  static override summary = 'Show what up would do';

  static override description = `Groups tenants with equal plans, and checks all tenants unless you select some. Writes nothing and takes no lock, so a
read-only role is enough. "up --dry-run" shows the same.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --tenant 42 --sql',
    '<%= config.bin %> <%= command.id %> --all --impact',
  ];

  static override flags = {
    ...selectionFlags,
    to: Flags.string({
      description: 'Stop after this migration: name or version',
      helpValue: 'NAME',
    }),
    ...pastFlags,
    ...phaseFlag,
    sql: Flags.boolean({ description: 'Show the SQL' }),
    impact: Flags.boolean({ description: 'Show locks, rewrites, and sizes of tables' }),
    'exit-code': Flags.boolean({
      description: 'Exit with 4 if something is pending or refused',
    }),
    concurrency: paceFlags.concurrency,
  };

  async run(): Promise<PlanReport> {
    const { flags } = await this.parse(Plan);
    const { all, tenant, label, failed, behind } = flags;
    // Looking needs no consent: nobody named means everybody.
    const nobody = !(all || tenant?.some((name) => !name.startsWith('-')) || label || failed || behind);
    const selection = selectionFrom({ ...flags, all: all || nobody });
    const { showPlan } = await import('../show-report.ts');
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const json = this.jsonEnabled();
    const { report, text } = await showPlan({ config, display, json }, selection, flags);
    this.show(text);
    return report;
  }
}
