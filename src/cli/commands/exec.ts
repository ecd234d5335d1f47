import { Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import { outputFlags, paceFlags, selectionFlags, selectionFrom } from '../flags.ts';
import type { ExecReport } from '../../fleet/verbs/exec.ts';

export default class Exec extends FleetCommand {
  static override summary = 'Run SQL at one tenant, at some or at all; read-only unless told otherwise';

  static override description = `The rows go to stdout, the tenant first; what else is to be said goes to stderr. Without --write the statements run
in a read-only transaction; with it, in one transaction for each tenant, and as a run of the ledger.`;

  static override examples = [
    `<%= config.bin %> <%= command.id %> --all --sql 'select count(*) from meters'`,
    `<%= config.bin %> <%= command.id %> --label tier=gold --file report.sql --format csv`,
    `<%= config.bin %> <%= command.id %> --tenant 42 --sql "update meters set note = null" --write`,
  ];

  static override flags = {
    sql: Flags.string({ description: 'The statements', helpValue: 'SQL', exclusive: ['file'] }),
    file: Flags.string({ description: 'A file that holds them; - is stdin', helpValue: 'FILE|-' }),
    write: Flags.boolean({ description: 'Let them change something' }),
    format: Flags.string({
      description: 'How rows are written',
      options: ['table', 'csv', 'ndjson'],
      default: 'table',
    }),
    ...selectionFlags,
    'max-failures': Flags.string({
      description: 'Start no further tenant after so many failures, or this share of all',
      helpValue: '25|2%',
      exclusive: ['fail-fast'],
    }),
    'fail-fast': Flags.boolean({ description: 'The same as --max-failures 1' }),
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
        const limits = { failFast, ...(maxFailures === undefined ? {} : { maxFailures }) };
        const following = { onEvent, signal, cancel, ...(rows ? { onRows: rows.take } : {}) };
        const done = await exec(config, selection, sql, { source, write, ...limits, ...following });
        await rows?.end();
        return done;
      },
      { ownStdout: 'the rows' },
    );
  }
}
