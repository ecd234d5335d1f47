import { Args } from '@oclif/core';
import { FleetCommand } from '../../command.ts';
import { MpmError } from '../../../errors.ts';
import type { TenantChange } from '../../../tenants/change.ts';

export default class TenantLabel extends FleetCommand {
  static override summary = 'Set or remove labels of a tenant';

  static override examples = ['<%= config.bin %> <%= command.id %> 42 tier=gold beta-'];

  static override usage = '<%= command.id %> TENANT LABEL...';

  static override strict = false;

  static override args = {
    tenant: Args.string({ description: 'ID, name, or database', required: true }),
    label: Args.string({
      description: 'tier=gold sets, tier- removes; repeatable',
      required: true,
    }),
  };

  async run(): Promise<TenantChange> {
    const { args, argv, flags } = await this.parse(TenantLabel);
    const labels = Object.fromEntries((argv as string[]).slice(1).map(labelOf));
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { label } = await import('../../../tenants/change.ts');
    const change = await label(config, args.tenant, labels);
    const { tenantChangedText } = await import('../../../ui/views/tenants.ts');
    this.show(tenantChangedText(change, out));
    return change;
  }
}

function labelOf(word: string): [string, string | null] {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
  if (key !== undefined && value !== undefined) return [key, value];
  if (/^[^=]+-$/.test(word)) return [word.slice(0, -1), null];
  throw new MpmError('USAGE', `${word}: not a label`, { hint: 'tier=gold sets a label, tier- removes it.' });
}
