import { Flags } from '@oclif/core';
import type { RehearseReport } from '../fleet/report/rehearse-report.ts';
import type { Selection } from '../fleet/select.ts';
import type { FleetRun, ReportText } from './command.ts';
import { type PastFlags, pastFrom } from './flags.ts';

/** What a rehearsal may do. */
export const rehearsalFlags = {
  'lock-limit': Flags.string({
    description: 'Cancel a tenant that blocks others longer (default 2s)',
    helpValue: '2s',
  }),
  'max-size': Flags.string({
    description: 'Skip tenants where a larger table is rewritten (default 1GB)',
    helpValue: '1GB',
  }),
  modules: Flags.boolean({ description: 'Run TypeScript migrations, too' }),
};

interface RehearsalFlags extends PastFlags {
  to?: string | undefined;
  'lock-limit'?: string | undefined;
  'max-size'?: string | undefined;
  modules?: boolean;
}

/** What `rehearse` and `up --rehearse` have in common: the work, and the report as text. */
export function runRehearsal(
  selection: Selection,
  flags: RehearsalFlags,
): [work: (run: FleetRun) => Promise<RehearseReport>, how: { text: ReportText<RehearseReport> }] {
  const { to, 'lock-limit': lockLimit, 'max-size': maxSize, modules } = flags;
  let show: ReportText<RehearseReport> = () => '';
  const work = async ({ config, onEvent, signal, cancel }: FleetRun): Promise<RehearseReport> => {
    const { rehearse } = await import('../fleet/verbs/rehearse.ts');
    show = (await import('../ui/views/rehearse.ts')).rehearseText;
    return rehearse(config, selection, {
      onEvent,
      signal,
      cancel,
      ...pastFrom(flags),
      ...(to === undefined ? {} : { to }),
      ...(lockLimit === undefined ? {} : { lockLimit }),
      ...(maxSize === undefined ? {} : { maxSize }),
      ...(modules ? { modules } : {}),
    });
  };
  return [work, { text: (...args) => show(...args) }];
}
