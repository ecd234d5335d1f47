import { Args, Flags } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import { labelsFrom, paceFlags } from '../../flags.ts';
import { EXIT, MpmError } from '../../../errors.ts';
import type { ProvisionReport } from '../../../tenants/create/creation.ts';

const { concurrency: _, ...pace } = paceFlags;
const many = { helpValue: 'tier=gold', multiple: true, multipleNonGreedy: true } as const;
const alone = { exclusive: ['resume'] };

export default class TenantCreate extends FleetCommand {
  static override summary = 'Create a tenant and its database';

  static override description = `If this fails, it removes what it created. If it is killed, "tenant list" shows the tenant as provisioning: continue with
--resume.`;

  static override examples = [
    '<%= config.bin %> <%= command.id %> "Acme Ltd" --database acme --label tier=gold',
    '<%= config.bin %> <%= command.id %> --resume 42',
  ];

  static override args = { name: Args.string({ description: "The tenant's name" }) };

  static override flags = {
    database: Flags.string({ description: 'Exact name of the database (default: from NAME)', ...alone }),
    server: Flags.string({ description: 'A name in "servers" of the configuration', ...alone }),
    label: Flags.string({ description: 'Label; repeatable', ...many, ...alone }),
    id: Flags.string({ description: 'ID (default: the next one)', helpValue: '42', ...alone }),
    claim: Flags.boolean({
      description: 'Use the existing folder for this database',
      ...alone,
    }),
    resume: Flags.string({ description: 'Continue an interrupted creation', helpValue: 'ID' }),
    ...pace,
  };

  async run(): Promise<ProvisionReport> {
    const { args, flags } = await this.parse(TenantCreate);
    const { database, server, label, id, claim, resume } = flags;
    const given = Object.entries({ database, server, id }).filter(([, value]) => value !== undefined);
    const input = { name: args.name ?? '', labels: labelsFrom(label), claim, ...Object.fromEntries(given) };
    if ((args.name === undefined) === (resume === undefined)) throw needsOne(args.name);
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const [{ provision, resumeProvision }, { interruptible }] = await Promise.all([
      import('../../../tenants/create/provision.ts'),
      import('../../interrupt.ts'),
    ]);
    const onWaiting = (reason: string): void => this.logToStderr(`Waiting: ${reason}`);
    const report = await interruptible((signal, cancel) =>
      resume === undefined
        ? provision(config, input, { signal, cancel, onWaiting })
        : resumeProvision(config, resume, { signal, cancel, onWaiting }),
    );
    const { tenantCreatedText } = await import('../../../ui/views/tenants.ts');
    this.show(tenantCreatedText(report, out));
    if (report.filesChanged) process.exitCode = EXIT.found;
    return report;
  }
}

function needsOne(name: string | undefined): MpmError {
  const what = name === undefined ? 'No name was given' : "A name and --resume can't be combined";
  return new MpmError('USAGE', what, { hint: 'mpm-migrate tenant create "Acme Ltd"' });
}
