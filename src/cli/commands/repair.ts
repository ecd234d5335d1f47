import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { paceFlags, selectionFlagsButBehind, selectionFrom } from '../flags.ts';
import type { CentralRepairReport } from '../../central/schema/repair.ts';
import { MpmError } from '../../errors.ts';
import type { EditReport } from '../../fleet/report/edit-report.ts';
import { shellWord } from '../../shell-word.ts';

export default class Repair extends FleetCommand {
  static override summary = 'Correct histories to match the files';

  static override description = `Runs no migrations. Shows what would change unless you pass --write. Choose one of --checksums, --missing, and --stamp.
Every change is recorded in a journal next to the history.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> 20260801101500_add_tariffs --tenant 42 --checksums',
    '<%= config.bin %> <%= command.id %> --all-names --all --missing --write',
    '<%= config.bin %> <%= command.id %> --tenant 42 --stamp --write',
    '<%= config.bin %> <%= command.id %> 20260801101500_regions --central --checksums',
  ];

  static override strict = false;
  static override args = { name: Args.string({ description: 'Names of migrations' }) };

  static override flags = {
    checksums: Flags.boolean({
      description: 'Accept changed files as they are now',
      exclusive: ['missing', 'stamp'],
    }),
    missing: Flags.boolean({
      description: 'Remove rows of migrations without a file',
      exclusive: ['stamp'],
    }),
    stamp: Flags.boolean({ description: 'Set the head stamp to match the history' }),
    central: Flags.boolean({
      description: 'Repair your own central migrations',
      exclusive: ['stamp', 'all', 'tenant', 'label', 'failed', 'exclude', 'shard'],
    }),
    'all-names': Flags.boolean({ description: 'All such migrations, instead of names' }),
    write: Flags.boolean({ description: 'Make the changes' }),
    ...selectionFlagsButBehind,
    ...paceFlags,
  };

  async run(): Promise<EditReport | CentralRepairReport> {
    const { flags, argv } = await this.parse(Repair);
    const names = argv.map(String);
    if (!flags.checksums && !flags.missing && !flags.stamp)
      throw usage('Nothing to repair was named', 'Use --checksums, --missing, or --stamp.');
    if (flags.stamp && (names.length || flags['all-names']))
      throw usage('--stamp takes no names', 'A head stamp covers the whole history.');
    if (!flags.stamp && names.length > 0 === Boolean(flags['all-names'])) {
      const what = names.length ? "Names and --all-names can't be combined" : 'No migration was named';
      throw usage(what, 'Name migrations, or use --all-names for all of them.');
    }
    if (flags.central) return this.repairCentral(flags, names);
    const selection = selectionFrom(flags);
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const { showEdit } = await import('../show-report.ts');
    const { repair } = await import('../../fleet/verbs/repair.ts');
    const kind = flags.stamp ? 'stamp' : flags.missing ? 'missing' : 'checksums';
    const how = { quiet: flags.quiet, json: this.jsonEnabled(), argv: this.argv, command: 'repair' };
    const { report, text } = await showEdit(display, how, ({ onEvent, signal }) =>
      repair(config, selection, { kind, names, write: flags.write, onEvent, signal }),
    );
    this.show(text);
    const { editExitCode } = await import('../exit-code.ts');
    process.exitCode = editExitCode(report);
    return report;
  }

  private async repairCentral(
    flags: { missing?: boolean; write?: boolean } & Parameters<FleetCommand['settings']>[0],
    names: string[],
  ): Promise<CentralRepairReport> {
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const [{ repairCentral }, { interruptible }, { centralRepairText }] = await Promise.all([
      import('../../central/schema/repair.ts'),
      import('../interrupt.ts'),
      import('../../ui/views/central.ts'),
    ]);
    const kind = flags.missing ? 'missing' : 'checksums';
    const report = await interruptible((signal) =>
      repairCentral(config, { kind, names, write: flags.write ?? false, signal }),
    );
    const again = ['repair', ...this.argv.map(shellWord)].join(' ');
    this.show(centralRepairText(report, out, again));
    return report;
  }
}

function usage(message: string, hint: string): MpmError {
  return new MpmError('USAGE', message, { hint });
}
