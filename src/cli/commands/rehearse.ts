import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { outputFlags, paceFlags, pastFlags, selectionFlags, selectionFrom } from '../flags.ts';
import { rehearsalFlags } from '../run-rehearsal.ts';
import type { RehearseReport } from '../../fleet/report/rehearse-report.ts';

export default class Rehearse extends FleetCommand {
  static override summary = 'Run pending migrations and roll them back';

  static override description = `Shows which tenants would fail, which tables are locked and rewritten, and how long up would take. Exits with 3 if a tenant
would fail.`;

  static override examples = ['<%= config.bin %> <%= command.id %> --all --lock-limit 500ms'];

  static override flags = {
    ...selectionFlags,
    to: Flags.string({
      description: 'Stop after this migration: name or version',
      helpValue: 'NAME',
    }),
    ...rehearsalFlags,
    ...pastFlags,
    ...paceFlags,
    ...outputFlags,
  };

  async run(): Promise<RehearseReport> {
    const { flags } = await this.parse(Rehearse);
    const { runRehearsal } = await import('../run-rehearsal.ts');
    return this.runFleet<RehearseReport>(flags, ...runRehearsal(selectionFrom(flags), flags));
  }
}
