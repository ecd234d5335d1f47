import { Args, Flags } from '@oclif/core';
import type { RunRow, TenantRecord } from '../../../central/runs.ts';
import { FleetCommand } from '../../command.ts';
import type { Theme } from '../../../ui/theme.ts';
import { outputFlags } from '../../flags.ts';
import { MpmError } from '../../../errors.ts';

export default class RunShow extends FleetCommand {
  static override summary = 'Show a run and the result of each tenant';

  static override examples = [
    '<%= config.bin %> <%= command.id %> 184',
    '<%= config.bin %> <%= command.id %> --failed',
  ];

  static override args = {
    run: Args.integer({ description: 'Number of the run (default: the last one)', min: 1 }),
  };

  static override flags = {
    failed: Flags.boolean({
      description: 'Only failed, refused, busy, and untried tenants',
      exclusive: ['report'],
    }),
    report: outputFlags.report,
  };

  async run(): Promise<{ run: RunRow; tenants: TenantRecord[] }> {
    const { args, flags } = await this.parse(RunShow);
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const outputs = await this.outputs(flags);
    const { withCentral } = await import('../../../central/central.ts');
    const { findRun, lastRun, runTenants } = await import('../../../central/runs.ts');
    const outcomes = flags.failed ? { outcomes: ['failed', 'refused', 'busy', 'skipped'] } : {};
    try {
      const found = await withCentral(config, async (central) => {
        const run = args.run === undefined ? await lastRun(central) : await findRun(central, args.run);
        if (!run)
          throw new MpmError('UNKNOWN_RUN', 'There are no runs yet', { hint: 'mpm-migrate up --all' });
        return { run, tenants: await runTenants(central, run.number, outcomes) };
      });
      if (outputs) {
        const { reportOfRun } = await import('../../../fleet/report/past-run.ts');
        const { report, results } = reportOfRun(found.run, found.tenants);
        for (const result of results) await outputs.onEvent({ type: 'tenant-finished', at: 0, result });
        await this.finishOutputs(outputs, report, display);
      }
      const { runText } = await import('../../../ui/views/runs.ts');
      const text = (theme: Theme): string => runText(found.run, found.tenants, theme);
      if (outputs?.takesStdout) process.stderr.write(text(display.err));
      else this.show(text(display.out));
      return found;
    } catch (error) {
      outputs?.abandon();
      throw error;
    }
  }
}
