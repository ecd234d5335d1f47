import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { paceFlags, selectionFlagsButBehind, selectionFrom } from '../flags.ts';
import type { EditReport } from '../../fleet/report/edit-report.ts';
import type { ToolName } from '../../dialects/other-tools.ts';

// Spelt out here: the engine is loaded when the command runs, not when its flags are read.
const TOOLS: readonly ToolName[] = [
  'kysely',
  'knex',
  'node-pg-migrate',
  'dbmate',
  'golang-migrate',
  'flyway',
  'prisma',
  'laravel',
];

export default class Baseline extends FleetCommand {
  static override summary = 'Record existing migrations as applied';

  static override description = `For databases that already have their schema. Runs no migrations, and shows what would be recorded unless you pass --write.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> --tenant 42 --to 20260801101500_add_tariffs',
    '<%= config.bin %> <%= command.id %> --all --from knex --write',
  ];

  static override flags = {
    to: Flags.string({
      description: 'Record everything up to this migration; 0: none',
      helpValue: 'NAME',
      exclusive: ['from'],
    }),
    from: Flags.option({ description: "Read this tool's history table", options: TOOLS })(),
    table: Flags.string({ description: 'Name of that table', helpValue: 'SCHEMA.TABLE' }),
    write: Flags.boolean({ description: 'Make the changes' }),
    ...selectionFlagsButBehind,
    ...paceFlags,
  };

  async run(): Promise<EditReport> {
    const { flags } = await this.parse(Baseline);
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
}
