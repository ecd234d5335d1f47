import { Flags } from '@oclif/core';
import type { ConfigInput } from '../config/define.ts';
import { environment } from '../config/load.ts';
import { shardFrom } from '../config/shard.ts';
import { MpmError } from '../errors.ts';
import { requireSelection, type Selection } from '../fleet/select.ts';
import { type Duration, DURATION_FORM, parseDuration } from '../pace.ts';

/** Which tenants: the same flags everywhere. */
export const selectionFlags = {
  all: Flags.boolean({ description: 'Every tenant', helpGroup: 'selection' }),
  tenant: Flags.string({
    description: 'A tenant by ID, name, or database; 1..9 is a range of IDs; repeatable',
    helpValue: '42',
    helpGroup: 'selection',
    multiple: true,
    multipleNonGreedy: true,
  }),
  exclude: Flags.string({
    description: 'Leave out this tenant; repeatable',
    helpValue: '7',
    helpGroup: 'selection',
    multiple: true,
    multipleNonGreedy: true,
  }),
  label: Flags.string({
    description: 'Tenants with this label; repeat to require several',
    helpValue: 'tier=gold',
    helpGroup: 'selection',
    multiple: true,
    multipleNonGreedy: true,
  }),
  failed: Flags.string({
    description: "Tenants that failed or weren't tried in the last run, or in run 184",
    helpLabel: '--failed[=184]',
    helpGroup: 'selection',
  }),
  behind: Flags.boolean({ description: 'Tenants with pending migrations', helpGroup: 'selection' }),
  shard: Flags.string({
    description: 'The second of eight slices; auto: read CI variables',
    helpValue: '2/8|auto',
    helpGroup: 'selection',
  }),
};

/** For commands with which `--behind` does not go, which they say: their help does not offer it. */
export const selectionFlagsButBehind = {
  ...selectionFlags,
  behind: { ...selectionFlags.behind, hidden: true },
};

const time = (description: string) => Flags.string({ description, helpValue: '5s', helpGroup: 'pace' });

export const lagFlag = {
  'max-lag': Flags.string({
    description: 'Start no more tenants while a replica lags more',
    helpValue: '30s',
  }),
};

/** How fast and how patient: what the configuration says under `pace`, for this once. */
export const paceFlags = {
  concurrency: Flags.string({
    description: 'Tenants in parallel, per server',
    helpValue: '16',
    helpGroup: 'pace',
  }),
  'lock-timeout': time('Maximum wait for a table lock (default 1s)'),
  'statement-timeout': time('Maximum time for a statement (default: no limit)'),
  'lock-wait': time('Maximum wait for another runner (default 30s)'),
  retries: Flags.string({
    description: 'Retries of temporary errors (default 10)',
    helpValue: '3',
    helpGroup: 'pace',
  }),
  actor: Flags.string({
    description: 'Your name for the history (default: from CI)',
    helpValue: 'NAME',
    helpGroup: 'pace',
  }),
};

/** What is gone past that would hold a tenant back: all of it for one, each part for any selection. */
export const pastFlags = {
  force: Flags.boolean({
    description: 'With --tenant only: ignore what blocks it, except locks',
  }),
  'out-of-order': Flags.boolean({ description: 'Apply migrations older than applied ones' }),
  'include-held': Flags.boolean({ description: 'Include tenants on hold' }),
  'accept-changed': Flags.boolean({
    description: 'Continue despite changed or missing files',
  }),
};

export const phaseFlag = {
  phase: Flags.option({ options: ['contract'] as const })({
    description: 'contract: apply what is deferred (phase:contract)',
  }),
};

export interface PastFlags {
  phase?: 'contract' | undefined;
  force?: boolean;
  'out-of-order'?: boolean;
  'include-held'?: boolean;
  'accept-changed'?: boolean;
}

/** What past flags say, in the library's words. */
export function pastFrom(flags: PastFlags) {
  return {
    ...(flags.force ? { force: true } : {}),
    ...(flags['out-of-order'] ? { outOfOrder: true } : {}),
    ...(flags['include-held'] ? { includeHeld: true } : {}),
    ...(flags['accept-changed'] ? { acceptChanged: true } : {}),
    ...(flags.phase ? { phase: flags.phase } : {}),
  };
}

/** What the lag flag says, in the library's words. */
export function lagFrom({ 'max-lag': maxLag }: { 'max-lag'?: string | undefined }) {
  return maxLag === undefined ? {} : { maxLag };
}

/** What else is written down of it. */
export const outputFlags = {
  events: Flags.string({
    description: 'Write events as JSON lines; - is stdout',
    helpValue: 'FILE|-',
    helpGroup: 'output',
  }),
  report: Flags.string({
    description: 'Write a report: junit=, html=, or json=FILE',
    helpValue: 'KIND=FILE',
    helpGroup: 'output',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

export interface SelectionFlags {
  all?: boolean;
  tenant?: string[] | undefined;
  exclude?: string[] | undefined;
  label?: string[] | undefined;
  failed?: string | undefined;
  run?: number | undefined;
  behind?: boolean;
  shard?: string | undefined;
  force?: boolean;
}

/**
 * The selection that flags describe.
 * @throws MpmError NO_SELECTION listing the ways; USAGE for what contradicts itself
 */
export function selectionFrom(flags: SelectionFlags): Selection {
  const { all, tenant, exclude, label, failed, run, behind, shard, force } = flags;
  const selection: Selection = {
    ...(all ? { all } : {}),
    ...(tenant?.length ? { tenants: tenant } : {}),
    ...(exclude?.length ? { exclude } : {}),
    ...(label?.length ? { labels: labelsFrom(label) } : {}),
    ...(failed === undefined ? {} : { failed: parseRun(failed) }),
    ...(run === undefined ? {} : { run }),
    ...(behind ? { behind } : {}),
    ...(shard === undefined ? {} : { shard: shardFrom(shard, environment()) }),
  };
  const named = tenant?.find((name) => !name.startsWith('-'));
  if (force && (all || !named)) {
    throw new MpmError('USAGE', '--force requires --tenant', {
      hint: 'It ignores what blocks a tenant, so name the tenant: --tenant 42 --force',
    });
  }
  if (all && named) {
    throw new MpmError('USAGE', `--all and --tenant ${named} can't be combined`, {
      hint: 'Use one of them. To leave a tenant out of --all, use --exclude 7 or --tenant -7.',
    });
  }
  requireSelection(selection);
  return selection;
}

/** @throws MpmError USAGE for what is not key=value, and for two values of one key */
export function labelsFrom(labels: readonly string[] = []): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [key, value] of labels.map(parseLabel)) {
    const other = Object.hasOwn(found, key) ? found[key] : value;
    if (other !== value) {
      throw new MpmError('USAGE', `--label ${key} is given twice: ${other} and ${value}`, {
        subject: key,
        hint: 'A label has one value.',
      });
    }
    found[key] = value;
  }
  return found;
}

function parseLabel(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new MpmError('USAGE', `--label ${text}: not a label`, {
    hint: 'Write it as key=value: --label tier=gold',
  });
}

function parseRun(text: string): number | 'last' {
  if (text === 'last') return text;
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new MpmError('USAGE', `--failed=${text}: not a run's number`, {
    hint: 'mpm-migrate run list shows the runs; --failed alone means the last one.',
  });
}

/** oclif knows no flag with an optional value: a bare `--failed` becomes `--failed=last`. */
export function withBareFailed(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  return argv.map((word, at) => (word === '--failed' && (end < 0 || at < end) ? '--failed=last' : word));
}

export interface PaceFlags {
  concurrency?: string | undefined;
  'lock-timeout'?: string | undefined;
  'statement-timeout'?: string | undefined;
  'lock-wait'?: string | undefined;
  retries?: string | undefined;
}

/**
 * What pace flags say, in the configuration's words.
 * @throws MpmError USAGE naming the flag
 */
export function paceFrom(flags: PaceFlags): NonNullable<ConfigInput['pace']> {
  const pace = {
    concurrency: numberOf(flags, 'concurrency', 1),
    retries: numberOf(flags, 'retries', 0),
    lockTimeout: timeOf(flags, 'lock-timeout'),
    statementTimeout: timeOf(flags, 'statement-timeout'),
    lockWait: timeOf(flags, 'lock-wait'),
  };
  return Object.fromEntries(Object.entries(pace).filter(([, value]) => value !== undefined));
}

function numberOf(flags: PaceFlags, flag: 'concurrency' | 'retries', least: number): number | undefined {
  const text = flags[flag];
  if (text === undefined) return undefined;
  if (/^\d{1,6}$/.test(text) && Number(text) >= least) return Number(text);
  throw new MpmError('USAGE', `--${flag} ${text}: must be a whole number, ${least} or more`, {
    hint: `For example: --${flag} 8`,
  });
}

function timeOf(
  flags: PaceFlags,
  flag: 'lock-timeout' | 'statement-timeout' | 'lock-wait',
): Duration | undefined {
  const text = flags[flag];
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new MpmError('USAGE', `--${flag} ${text}: not a duration`, { hint: `Use ${DURATION_FORM}.` });
}
