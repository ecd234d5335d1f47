import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { selectionFlags, selectionFrom } from '../flags.ts';
import type { SyncReport } from '../../fleet/verbs/sync.ts';

const { behind: _, ...selection } = selectionFlags;

export default class Sync extends FleetCommand {
  static override summary = "Copy core migrations into tenants' own folders";

  static override description = `A tenant with its own folder gets exactly the migrations in that folder. Without a selection, syncs all folders. Edited
copies, and tenants' own files in place of core files, are kept and reported with exit code 3.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --check',
  ];

  static override flags = {
    ...selection,
    check: Flags.boolean({ description: 'Change nothing; exit with 4 if out of date' }),
    'dry-run': Flags.boolean({ description: 'Change nothing; show what would change' }),
    prune: Flags.boolean({
      description: 'Remove copies whose core file is gone',
    }),
    claim: Flags.boolean({
      description: 'Assign unowned folders to their tenants',
    }),
    overwrite: Flags.boolean({ description: 'Replace edited copies' }),
  };

  async run(): Promise<SyncReport> {
    const { flags } = await this.parse(Sync);
    const { check, prune, overwrite, claim, 'dry-run': dryRun, tenant, label, failed } = flags;
    const narrowed = label?.length || failed !== undefined || tenant?.some((name) => !name.startsWith('-'));
    const chosen = selectionFrom(narrowed ? flags : { ...flags, all: true });
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const [{ sync }, { runOnTerminal }, { syncExitCode }, { syncText }] = await Promise.all([
      import('../../fleet/verbs/sync.ts'),
      import('../on-terminal.ts'),
      import('../exit-code.ts'),
      import('../../ui/views/sync.ts'),
    ]);
    const output = { quiet: flags.quiet, json: this.jsonEnabled() };
    const report = await runOnTerminal(display, output, ({ onEvent, signal }) =>
      sync(config, chosen, { check, prune, overwrite, claim, dryRun, onEvent, signal }),
    );
    this.show(syncText(report, display.out));
    process.exitCode = syncExitCode(report, { check });
    return report;
  }
}
