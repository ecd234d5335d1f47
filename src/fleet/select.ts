import type { Central } from '../central/central.ts';
import type { TenantFilter } from '../central/list/filter.ts';
import { resolveFilter } from '../central/list/tenants.ts';
import { changedByRun, leftByRun } from '../central/runs.ts';
import { parseShard } from '../config/shard.ts';
import { MpmError } from '../errors.ts';
import { shellWord } from '../shell-word.ts';

/** Which tenants a run is about, as the user says it. What is given together narrows: all must hold. */
export interface Selection {
  /** `--all`: every tenant of the central database. */
  all?: boolean;
  /** `--tenant`: id, name or database; `1..9` a range of ids; `-7` leaves that one out. */
  tenants?: readonly string[];
  /** `--exclude`: as `tenants`, but left out. */
  exclude?: readonly string[];
  /** `--label tier=gold`: all of them must match. */
  labels?: Readonly<Record<string, string>>;
  /** `--failed[=RUN]`: what failed or was not tried in that run; `last`: of the last one of the same verb. */
  failed?: number | 'last';
  /** `--run 184`: where that run of `up` applied something; `down` takes exactly that back. */
  run?: number;
  /** `--shard 2/8`: the second of eight slices of all that is selected otherwise; always the same one. */
  shard?: string;
  /** `--behind`: only those with something pending; found out while looking at them. */
  behind?: boolean;
}

const WAYS =
  'Select tenants: --all, --tenant 42 (ID, name, or database; 1..9; repeatable), --label tier=gold, --failed, or --behind.';

/**
 * Makes sure that a selection names somebody: naming the target is the consent, so there is no default.
 * @throws MpmError NO_SELECTION listing the ways
 */
export function requireSelection(selection: Selection): void {
  const wanted = selection.tenants?.some((name) => !name.startsWith('-'));
  const labelled = selection.labels && Object.keys(selection.labels).length > 0;
  const ofRun = selection.failed !== undefined || selection.run !== undefined;
  if (selection.all || wanted || labelled || ofRun || selection.behind) return;
  throw new MpmError('NO_SELECTION', 'No tenants selected', { hint: WAYS });
}

/**
 * Only who looks at tenants finds out who is behind: another verb would take them all.
 * @throws MpmError USAGE
 */
export function refuseBehind(selection: Selection, verb: string): void {
  if (!selection.behind) return;
  throw new MpmError('USAGE', `--behind can't be combined with ${verb}`, {
    hint: 'Use it with up, status, and plan. To see who is behind: mpm-migrate status --behind',
  });
}

/** True for a selection by name (`--tenant`): few tenants, of which the report keeps every result. */
export function selectsByName(selection: Selection): boolean {
  return (selection.tenants ?? []).some((name) => !name.startsWith('-'));
}

/** True when nothing narrows it: every tenant of the fleet is meant, or nobody was named. */
export function selectsWholeFleet({
  tenants,
  exclude,
  labels,
  failed,
  run,
  shard,
  behind,
}: Selection): boolean {
  const narrowed = [tenants, exclude, Object.keys(labels ?? {})].some((words) => words && words.length > 0);
  return !narrowed && failed === undefined && run === undefined && shard === undefined && !behind;
}

/**
 * `--force` goes past what holds a tenant back; for which one must be said.
 * @throws MpmError USAGE
 */
export function requireForceByName(selection: Selection, force: boolean | undefined): void {
  if (!force || selectsByName(selection)) return;
  throw new MpmError('USAGE', '--force requires --tenant', {
    hint: 'It ignores what blocks a tenant, so name the tenant: --tenant 42 --force',
  });
}

/** The selection in words, as the user could type it again; for the report and the ledger. */
export function describeSelection(selection: Selection): string {
  const { all, tenants = [], exclude = [], labels = {}, failed, run, shard, behind } = selection;
  const words = [
    ...(all ? ['--all'] : []),
    ...tenants.map((name) => `--tenant ${shellWord(name)}`),
    ...exclude.map((name) => `--exclude ${shellWord(name)}`),
    ...Object.entries(labels).map(([key, value]) => `--label ${shellWord(`${key}=${value}`)}`),
    ...(failed === undefined ? [] : [failed === 'last' ? '--failed' : `--failed=${failed}`]),
    ...(run === undefined ? [] : [`--run ${run}`]),
    ...(behind ? ['--behind'] : []),
    ...(shard === undefined ? [] : [`--shard ${shard}`]),
  ];
  return words.join(' ');
}

/** What the central database is asked for; `behind` is not in it, because only the tenants know. */
export function filterOf(selection: Selection): TenantFilter {
  const named = selection.tenants ?? [];
  const tenants = named.filter((name) => !name.startsWith('-'));
  const exclude = [
    ...(selection.exclude ?? []),
    ...named.filter((name) => name.startsWith('-')).map((name) => name.slice(1)),
  ];
  const { labels, shard } = selection;
  return {
    ...(tenants.length ? { tenants } : { all: true }),
    ...(exclude.length ? { exclude } : {}),
    ...(labels && Object.keys(labels).length ? { labels } : {}),
    ...(shard === undefined ? {} : { shard: parseShard(shard) }),
  };
}

/**
 * What a selection comes to, with names resolved to ids; what is given beside `--failed` narrows it.
 * @param verb whose last run a bare `--failed` means
 * @throws MpmError UNKNOWN_TENANT, UNKNOWN_RUN, USAGE
 */
export async function filterFor(central: Central, selection: Selection, verb = 'up'): Promise<TenantFilter> {
  const own = await resolveFilter(central, filterOf(selection));
  const { failed, run } = selection;
  return {
    ...own,
    ...(failed === undefined ? {} : { leftBy: await leftByRun(central, failed, verb) }),
    ...(run === undefined ? {} : { changedBy: await changedByRun(central, run) }),
  };
}
