import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import { MpmError } from '../../../errors.ts';
import { labelsFrom, paceFlags } from '../../flags.ts';
import type { AdoptReport } from '../../../fleet/report/adopt-report.ts';
import type { AdoptTenantsInput } from '../../../fleet/verbs/adopt.ts';
import type { TenantChange } from '../../../tenants/change.ts';

export default class TenantAdopt extends FleetCommand {
  static override summary = 'Register existing databases as tenants';

  static override description = `Changes nothing in the databases. Of many, it takes those that hold migrations of
yours, and only shows them unless you pass --write.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> "Acme Ltd" --database acme',
    "<%= config.bin %> <%= command.id %> --databases 'acme_*' --write",
  ];

  static override args = { name: Args.string({ description: "The tenant's name, of one" }) };

  static override flags = {
    database: Flags.string({ description: 'Exact name of the database, of one' }),
    databases: Flags.string({
      description: 'All whose names match; repeatable',
      helpValue: "'acme_*'",
      multiple: true,
      multipleNonGreedy: true,
    }),
    list: Flags.string({ description: 'File with a name a line; - is stdin', helpValue: 'FILE|-' }),
    query: Flags.string({ description: 'Query of the central database for names', helpValue: 'SQL' }),
    also: Flags.string({
      description: "Also take another tool's (prisma, ...), tables, empty",
      helpValue: 'WHAT',
      multiple: true,
      multipleNonGreedy: true,
    }),
    write: Flags.boolean({ description: 'Register them' }),
    server: Flags.string({ description: 'A name in "servers" of the configuration' }),
    label: Flags.string({
      description: 'Label; repeatable',
      helpValue: 'tier=gold',
      multiple: true,
      multipleNonGreedy: true,
    }),
    id: Flags.string({ description: 'ID, of one (default: the next one)', helpValue: '42' }),
    concurrency: paceFlags.concurrency,
  };

  async run(): Promise<TenantChange | AdoptReport> {
    const { args, flags } = await this.parse(TenantAdopt);
    const { database, databases, list, query, also, server, label, id, write } = flags;
    const labels = labelsFrom(label);
    const many = given({ databases, list, query, also });
    const one = given({ NAME: args.name, database, id });
    const [first] = Object.keys(many);
    const [other] = Object.keys(one);
    if (first !== undefined && other !== undefined) {
      throw new MpmError('USAGE', `${flagOf(other)} and --${first} can't be combined`, {
        hint: 'Adopt one database, with NAME and --database; or many, each called as its database.',
      });
    }
    if (first === undefined && (args.name === undefined || database === undefined)) {
      throw new MpmError('USAGE', `${args.name === undefined ? 'NAME' : '--database'} is missing`, {
        hint: `One: mpm-migrate tenant adopt "Acme Ltd" --database acme
Many: mpm-migrate tenant adopt --databases 'acme_*'`,
      });
    }
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    if (first === undefined) {
      const { adopt } = await import('../../../tenants/adopt.ts');
      const input = { name: args.name ?? '', database: database ?? '', labels, ...given({ server, id }) };
      const change = await adopt(config, input);
      const { tenantChangedText } = await import('../../../ui/views/tenants.ts');
      this.show(tenantChangedText(change, display.out));
      return change;
    }
    const { namesIn } = await import('../../exec.ts');
    const input: AdoptTenantsInput = {
      labels,
      ...given({ databases, query, server }),
      ...(also ? { also: also as NonNullable<AdoptTenantsInput['also']> } : {}),
      ...(list === undefined ? {} : { names: await namesIn(list) }),
    };
    const { runOnTerminal } = await import('../../on-terminal.ts');
    const { adoptTenants } = await import('../../../fleet/verbs/adopt.ts');
    const how = { quiet: flags.quiet ?? false, json: this.jsonEnabled() };
    const report = await runOnTerminal(display, how, ({ onEvent, signal }) =>
      adoptTenants(config, input, { write, onEvent, signal }),
    );
    const { adoptText } = await import('../../../ui/views/adopt.ts');
    this.show(adoptText(report, display.out, ['tenant adopt', ...this.argv]));
    const { adoptExitCode } = await import('../../exit-code.ts');
    process.exitCode = adoptExitCode(report);
    return report;
  }
}

function given<T extends object>(flags: T): Partial<{ [K in keyof T]: NonNullable<T[K]> }> {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)) as never;
}

function flagOf(name: string): string {
  return name === 'NAME' ? name : `--${name}`;
}
