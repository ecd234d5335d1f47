import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { paceFlags } from '../flags.ts';
import { MpmError } from '../../errors.ts';
import type { EditReport } from '../../fleet/report/edit-report.ts';
import type { RunReport } from '../../fleet/report/report.ts';

const { concurrency: _, ...pace } = paceFlags;

export default class Resolve extends FleetCommand {
  static override summary = 'Resolve a half-applied migration';

  static override examples = [
    '<%= config.bin %> <%= command.id %> 20260814091530_index_meters --tenant 42 --retry',
    '<%= config.bin %> <%= command.id %> 20260814091530_index_meters --tenant 42 --applied',
  ];

  static override args = {
    name: Args.string({ description: 'Name of the migration', required: true }),
  };

  static override flags = {
    tenant: Flags.string({
      description: 'Tenant by ID, name, or database',
      helpValue: '42',
      required: true,
    }),
    applied: Flags.boolean({ description: 'You completed it: record it as applied' }),
    'rolled-back': Flags.boolean({ description: 'You reverted it: record it as pending' }),
    retry: Flags.boolean({ description: 'Resume at the statement where it stopped' }),
    skip: Flags.boolean({ description: 'Resume after that statement' }),
    ...pace,
  };

  async run(): Promise<EditReport | RunReport> {
    const { args, flags } = await this.parse(Resolve);
    const { tenant } = flags;
    const [as, second] = (['applied', 'rolled-back', 'retry', 'skip'] as const).filter((each) => flags[each]);
    if (!as || second) throw needsOne(as);
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const { runOnTerminal } = await import('../on-terminal.ts');
    const { resolve } = await import('../../fleet/verbs/resolve.ts');
    const report = await runOnTerminal(
      display,
      { quiet: flags.quiet, json: this.jsonEnabled() },
      ({ onEvent, signal }) => resolve(config, args.name, { tenant, as, onEvent, signal }),
    );
    const { exitCodeOf, editExitCode } = await import('../exit-code.ts');
    if ('write' in report) {
      const { editText } = await import('../../ui/views/edits.ts');
      this.show(editText(report, display.out, { shortPath: display.shortPath }));
      process.exitCode = editExitCode(report);
    } else {
      const { showReport } = await import('../show-report.ts');
      this.show(await showReport(report, display, this.githubLog?.command));
      process.exitCode = exitCodeOf(report);
    }
    return report;
  }
}

function needsOne(said: string | undefined): MpmError {
  const message = said
    ? "--applied, --rolled-back, --retry, and --skip can't be combined"
    : 'No resolution was given';
  return new MpmError('USAGE', message, {
    hint: 'Use one of --applied, --rolled-back, --retry, and --skip.',
  });
}
