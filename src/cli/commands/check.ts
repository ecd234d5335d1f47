import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import type { CheckReport } from '../../fleet/report/check-report.ts';

export default class Check extends FleetCommand {
  static override summary = 'Check a pull request: lint, build, reverts, and the fleet';

  static override description = `Lints new migrations, applies all of them and the seeds to a throw-away database, tries each new way back there, and
compares the files with what tenants have applied. Exits with 4 if something is wrong.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --since origin/main',
  ];

  static override withoutCentral = true;

  static override flags = {
    since: Flags.string({
      description: 'New is what changed since the merge base with this branch',
      helpValue: 'REF',
    }),
  };

  async run(): Promise<CheckReport> {
    const { flags } = await this.parse(Check);
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const { runOnTerminal } = await import('../on-terminal.ts');
    const { check } = await import('../../fleet/verbs/check.ts');
    const report = await runOnTerminal(display, { quiet: true, json: this.jsonEnabled() }, ({ signal }) =>
      check(config, { ...(flags.since === undefined ? {} : { since: flags.since }), signal }),
    );
    const { checkText } = await import('../../ui/views/check.ts');
    this.show(checkText(report, display.out, { shortPath: display.shortPath }));
    if (this.githubLog) {
      const { checkAnnotations, lintAnnotations } = await import('../../ui/report/github.ts');
      this.githubLog.command(lintAnnotations(report.lint.findings, display.shortPath));
      this.githubLog.command(checkAnnotations(report.problems, display.shortPath));
    }
    const { checkExitCode } = await import('../exit-code.ts');
    process.exitCode = checkExitCode(report);
    return report;
  }
}
