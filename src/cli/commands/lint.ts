import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import type { LintReport } from '../../fleet/report/lint-report.ts';

export default class Lint extends FleetCommand {
  static override summary = 'Find what in new migrations locks, rewrites, or loses data';

  static override description = `Judges the migrations that no tenant has applied, or if the central database can't be asked, those that differ from the
main branch. Runs no SQL migration. Exits with 4 if there is an error, and with 0 if there are only warnings.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --since origin/main --report sarif=lint.sarif',
    '<%= config.bin %> <%= command.id %> migrations/core/20260301120000_add_note.sql',
  ];

  static override strict = false;
  static override withoutCentral = true;

  static override args = {
    files: Args.string({ description: 'Files, names, or versions of migrations', required: false }),
  };

  static override flags = {
    since: Flags.string({
      description: 'Judge what changed since the merge base with this branch',
      helpValue: 'REF',
    }),
    report: Flags.string({
      description: 'Write the findings: sarif=FILE',
      helpValue: 'sarif=FILE',
      helpGroup: 'output',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<LintReport> {
    const { flags, argv } = await this.parse(Lint);
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const outputs = await this.outputsOf(flags, {
      sarif: async () => (await import('../../ui/report/sarif.ts')).sarifReport,
    });
    const { runOnTerminal } = await import('../on-terminal.ts');
    const { lint } = await import('../../fleet/verbs/lint.ts');
    const report = await runOnTerminal(
      display,
      { quiet: true, json: this.jsonEnabled(), outputs },
      ({ signal }) =>
        lint(config, {
          files: argv as string[],
          ...(flags.since === undefined ? {} : { since: flags.since }),
          signal,
        }),
    );
    const { lintText } = await import('../../ui/views/lint.ts');
    const options = { shortPath: display.shortPath };
    if (outputs?.takesStdout) process.stderr.write(lintText(report, display.err, options));
    else this.show(lintText(report, display.out, options));
    if (this.githubLog) {
      const { lintAnnotations } = await import('../../ui/report/github.ts');
      this.githubLog.command(lintAnnotations(report.findings, display.shortPath));
    }
    const { lintExitCode } = await import('../exit-code.ts');
    process.exitCode = lintExitCode(report);
    await this.finishOutputs(outputs, report, display);
    return report;
  }
}
