import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { selectionFlags, selectionFrom } from '../flags.ts';
import type { SyncReport } from '../../fleet/verbs/sync.ts';

const { behind: _, ...selection } = selectionFlags;

export default class Sync extends FleetCommand {
  static override summary =
    'Copy core migrations into the folders of tenants; of all of them, unless some are named';

  static override description = `A tenant with a folder is applied exactly what is in it; this is how core gets there. A copy that was edited by
hand is left alone and reported, and so is a file of the tenant's own in a core file's place: then the exit code is 3.
A second run changes nothing.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --tenant 42 --tenant kivu-grid',
    '<%= config.bin %> <%= command.id %> --check',
  ];

  static override flags = {
    ...selection,
    check: Flags.boolean({ description: 'Change nothing; exit 4 when something is out of date' }),
    'dry-run': Flags.boolean({ description: 'Change nothing; say what would be done' }),
    prune: Flags.boolean({
      description: "Remove copies whose core file is gone; never a tenant's own files",
    }),
    claim: Flags.boolean({
      description: "Make a folder that does not say whose it is its tenant's; with --tenant, another's too",
    }),
    overwrite: Flags.boolean({ description: 'Replace copies that were edited by hand' }),
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
