import { Flags } from '@oclif/core';
import { MpmError } from '../../errors.ts';
import type { SnapshotReport } from '../../fleet/report/snapshot-report.ts';
import { FleetCommand, type GlobalFlags } from '../command.ts';
import { paceFlags, type SelectionFlags, selectionFlagsButBehind, selectionFrom } from '../flags.ts';
import type { EditReport } from '../../fleet/report/edit-report.ts';
import { TOOL_NAMES } from '../../dialects/tool-names.ts';

/** What `--snapshot` goes by. */
interface SnapshotFlags extends SelectionFlags, GlobalFlags {
  table?: string | undefined;
  'with-data'?: string[] | undefined;
  'pg-dump'?: string | undefined;
  privileges: boolean;
  write: boolean;
}

export default class Baseline extends FleetCommand {
  static override summary = 'Record existing migrations as applied';

  static override description = `For databases that already have their schema. Runs no migrations, and shows what would be recorded unless you pass --write. Tools: ${TOOL_NAMES.join(', ')}.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --tenant 42 --to 20260801101500_add_tariffs',
    '<%= config.bin %> <%= command.id %> --all --from knex --write',
  ];

  static override flags = {
    to: Flags.string({
      description: 'Record everything up to this migration; 0: none',
      helpValue: 'NAME',
      exclusive: ['snapshot'],
    }),
    from: Flags.option({
      description: "Read this tool's history table",
      helpValue: 'TOOL',
      options: TOOL_NAMES,
    })(),
    table: Flags.string({ description: 'Name of that table', helpValue: 'SCHEMA.TABLE' }),
    snapshot: Flags.string({
      description: "Write this tenant's schema into core, for new tenants",
      helpValue: 'TENANT',
      exclusive: ['from'],
    }),
    'with-data': Flags.string({
      description: 'With --snapshot: with the rows of this table; repeatable',
      helpValue: 'TABLE',
      multiple: true,
      multipleNonGreedy: true,
      dependsOn: ['snapshot'],
    }),
    privileges: Flags.boolean({
      description: 'With --snapshot: with its permissions',
      dependsOn: ['snapshot'],
    }),
    'pg-dump': Flags.string({
      description: 'With --snapshot: the program (default: on the PATH)',
      helpValue: 'PATH',
      dependsOn: ['snapshot'],
    }),
    write: Flags.boolean({ description: 'Make the changes' }),
    ...selectionFlagsButBehind,
    ...paceFlags,
  };

  async run(): Promise<EditReport | SnapshotReport> {
    const { flags } = await this.parse(Baseline);
    if (flags.snapshot !== undefined) return this.snapshot(flags.snapshot, flags);
    const { to, from, table, write } = flags;
    const selection = selectionFrom(flags);
    const given = Object.entries({ to, from, table }).filter(([, value]) => value !== undefined);
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const { showEdit } = await import('../show-report.ts');
    const { baseline } = await import('../../fleet/verbs/baseline.ts');
    const how = { quiet: flags.quiet, json: this.jsonEnabled(), argv: this.argv, command: 'baseline' };
    const { report, text } = await showEdit(display, how, ({ onEvent, signal }) =>
      baseline(config, selection, { ...Object.fromEntries(given), write, onEvent, signal }),
    );
    this.show(text);
    const { editExitCode } = await import('../exit-code.ts');
    process.exitCode = editExitCode(report);
    return report;
  }

  private async snapshot(tenant: string, flags: SnapshotFlags): Promise<SnapshotReport> {
    const { all, tenant: named, exclude, label, failed, shard, table, privileges, write } = flags;
    if (table !== undefined) {
      throw new MpmError('USAGE', '--table requires --from', {
        hint: 'To take the rows of a table along: --with-data TABLE',
      });
    }
    // Who is compared needs no consent: nobody named means everybody.
    const nobody = !(all || named?.some((name) => !name.startsWith('-')) || label || failed || shard);
    const selection = selectionFrom({ all: all || nobody, tenant: named, exclude, label, failed, shard });
    const given = Object.entries({ withData: flags['with-data'], pgDump: flags['pg-dump'] });
    const options = Object.fromEntries(given.filter(([, value]) => value !== undefined));
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const { runOnTerminal } = await import('../on-terminal.ts');
    const { snapshot } = await import('../../fleet/verbs/snapshot.ts');
    const how = { quiet: flags.quiet ?? false, json: this.jsonEnabled() };
    const report = await runOnTerminal(display, how, ({ onEvent, signal }) =>
      snapshot(config, tenant, { ...options, selection, privileges, write, onEvent, signal }),
    );
    const { snapshotText } = await import('../../ui/views/snapshot.ts');
    const shown = { shortPath: display.shortPath, words: ['baseline', ...this.argv] };
    this.show(snapshotText(report, display.out, shown));
    const { snapshotExitCode } = await import('../exit-code.ts');
    process.exitCode = snapshotExitCode(report);
    return report;
  }
}
