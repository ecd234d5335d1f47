import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import {
  lagFlag,
  lagFrom,
  outputFlags,
  paceFlags,
  selectionFlagsButBehind,
  selectionFrom,
} from '../flags.ts';
import type { ExecReport } from '../../fleet/verbs/exec.ts';

export default class Exec extends FleetCommand {
  static override summary = 'Run SQL on every tenant; read-only by default';

  static override description = `Prints rows to stdout, with the tenant first, and everything else to stderr. With --write, each tenant's statements are one
transaction, and the run is recorded in the ledger.`;

  static override examples = [
    `<%= config.bin %> <%= command.id %> --all --sql 'select count(*) from meters'`,
    `<%= config.bin %> <%= command.id %> --tenant 42 --sql "update meters set note = null" --write`,
  ];

  static override flags = {
    sql: Flags.string({ description: 'SQL statements', helpValue: 'SQL', exclusive: ['file'] }),
    file: Flags.string({ description: 'File with SQL statements; - is stdin', helpValue: 'FILE|-' }),
    write: Flags.boolean({ description: 'Allow changes' }),
    format: Flags.string({
      description: 'Output format',
      options: ['table', 'csv', 'ndjson'],
      default: 'table',
    }),
    ...selectionFlagsButBehind,
    'max-failures': Flags.string({
      description: 'Start no more tenants after this many failures',
      helpValue: '25|2%',
      exclusive: ['fail-fast'],
    }),
    'fail-fast': Flags.boolean({ description: 'Same as --max-failures 1' }),
    ...lagFlag,
    ...paceFlags,
    ...outputFlags,
  };

  async run(): Promise<ExecReport> {
    const { flags } = await this.parse(Exec);
    const selection = selectionFrom(flags);
    const { openStatements, printRows } = await import('../exec.ts');
    const { sql, source } = await openStatements(flags);
    const rows = this.jsonEnabled() ? undefined : printRows(flags.format, (await this.display()).out);
    return this.runFleet(
      flags,
      async ({ config, onEvent, signal, cancel }) => {
        const { exec } = await import('../../fleet/verbs/exec.ts');
        const { write, 'max-failures': maxFailures, 'fail-fast': failFast } = flags;
        const limits = { failFast, ...(maxFailures === undefined ? {} : { maxFailures }), ...lagFrom(flags) };
        const following = { onEvent, signal, cancel, ...(rows ? { onRows: rows.take } : {}) };
        const done = await exec(config, selection, sql, { source, write, ...limits, ...following });
        await rows?.end();
        return done;
      },
      { ownStdout: 'the rows' },
    );
  }
}
