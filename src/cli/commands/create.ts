import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../command.ts';
import type { CreatedMigration } from '../../fleet/verbs/create.ts';

export default class Create extends FleetCommand {
  static override summary = 'Create a migration file and print its path';

  static override description = `Names and writes the file like the last migration in the folder. In a new folder, and beside names like
20260131120000_x, writes TypeScript for Kysely, or SQL with --sql. For templates of your own, set migrations.templates.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> add_meter_status --sql',
    '<%= config.bin %> <%= command.id %> add_loyalty_points --tenant 42',
  ];

  static override args = {
    name: Args.string({ description: 'What it does; use letters, digits, _, and -', required: true }),
  };

  static override flags = {
    sql: Flags.boolean({ description: 'Write SQL with an up and a down section', exclusive: ['ts'] }),
    ts: Flags.boolean({ description: 'Write TypeScript for Kysely' }),
    central: Flags.boolean({ description: 'Create it for the central database', exclusive: ['tenant'] }),
    tenant: Flags.string({
      description: 'Create it for this tenant only: ID, name, or database',
      helpValue: '42',
    }),
  };

  async run(): Promise<CreatedMigration> {
    const { args, flags } = await this.parse(Create);
    const { sql, ts, central, tenant } = flags;
    const [config, { shortPath }] = await Promise.all([this.settings(flags), this.display()]);
    const { createMigration } = await import('../../fleet/verbs/create.ts');
    const created = await createMigration(config, args.name, {
      ...(sql ? { kind: 'sql' as const } : ts ? { kind: 'ts' as const } : {}),
      central,
      ...(tenant === undefined ? {} : { tenant }),
    });
    if (created.copied && !flags.quiet) {
      const what = created.copied === 1 ? '1 core file was' : `${created.copied} core files were`;
      const why = 'a tenant with its own folder gets exactly the migrations in it';
      process.stderr.write(`${what} copied to the new folder first: ${why}.\n`);
    }
    for (const path of [created.path, ...(created.more ?? [])]) this.show(`${shortPath(path)}\n`);
    return created;
  }
}
