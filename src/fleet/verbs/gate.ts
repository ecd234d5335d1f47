import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { inspect } from '../../engine/history/lost.ts';
import type { Migration } from '../../engine/migration.ts';
import type { Plan } from '../../engine/plan.ts';
import { compareNames } from '../../engine/source/name.ts';
import { type Duration, DURATION_FORM, parseDuration } from '../../pace.ts';
import { databaseMissing } from '../../postgres/connect.ts';
import { attemptOf, type TenantAttempt } from '../attempt.ts';
import type { OnEvent } from '../events.ts';
import { type FleetFiles, readFleetFiles } from '../files.ts';
import type { GateReport, Straggler } from '../report/gate-report.ts';
import { compareIds } from '../report/report.ts';
import type { SweepOptions } from '../schedule/sweep.ts';
import { type Selection, requireSelection } from '../select.ts';
import { passing, type Visit } from '../visit.ts';
import { walk } from '../walk.ts';

export interface GateOptions extends Pick<SweepOptions, 'concurrency' | 'signal'> {
  /** A migration's name or version: all tenants are to have it, and all that come before. */
  atLeast: string;
  /** Those on hold count, too. */
  includeHeld?: boolean;
  /** How long to look again until all have it; by default it looks once. */
  wait?: Duration;
  /** What happens meanwhile, but no `run-finished`: it is no run. */
  onEvent?: OnEvent;
}

/** So many are named of each kind. */
const NAMED = 100;
/** ms before the next look; twice as long each time, up to the second. */
const PAUSE = [500, 8000] as const;

/**
 * Whether every selected tenant that `up` takes has a migration. Reads the head stamps, and looks into tenants only
 * where these do not say; writes nothing. Throws only for what stops it before the first tenant, and USAGE when no
 * file has the name.
 */
export async function gate(config: Config, selection: Selection, options: GateOptions): Promise<GateReport> {
  requireSelection(selection);
  const { wait = 0, ...once } = options;
  const { signal } = once;
  const patience = parseDuration(wait);
  if (patience === undefined) throw new MpmError('USAGE', `--wait ${wait}: must be ${DURATION_FORM}`);
  const started = Date.now();
  const { to = options.atLeast, ...files } = await readFleetFiles(config, options.atLeast);
  for (let [pause] = PAUSE as readonly [number, number]; ; pause = Math.min(pause * 2, PAUSE[1])) {
    const found = await checkOnce(config, selection, { ...once, atLeast: to, files });
    const report = { ...found, startedAt: new Date(started).toISOString(), durationMs: Date.now() - started };
    const left = started + patience - Date.now();
    if (report.open || report.interrupted || report.error || report.unmet !== undefined || left <= 0)
      return report;
    await sleep(Math.min(pause, left), undefined, signal ? { signal } : {}).catch(() => undefined);
    if (signal?.aborted) return { ...report, interrupted: true };
  }
}

/** Whether every tenant that `up` takes has all that comes before a migration. */
export function checkBefore(
  config: Config,
  name: string,
  { core, cache, contract }: FleetFiles,
  signal: AbortSignal | undefined,
): Promise<GateReport> {
  const files = { core, cache, contract };
  return checkOnce(config, { all: true }, { atLeast: name, before: true, files, ...(signal && { signal }) });
}

async function checkOnce(
  config: Config,
  selection: Selection,
  {
    atLeast,
    before = false,
    includeHeld = false,
    files,
    ...options
  }: Omit<GateOptions, 'wait'> & { before?: boolean; files: FleetFiles },
): Promise<GateReport> {
  const counts = { total: 0, there: 0, behind: 0, unreachable: 0, passed: 0 };
  const stragglers: Straggler[] = [];
  const unreachable: GateReport['unreachable'] = [];
  const passed: GateReport['passed'] = [];
  let stamped = 0;
  const { order } = config.migrations;
  const isUpTo = (name: string): boolean => compareNames(name, atLeast, order) <= (before ? -1 : 0);
  const core = config.folders === 'pinned' ? [] : files.core.migrations.filter(({ name }) => isUpTo(name));
  const report = await walk<Readiness>(
    config,
    {
      name: 'gate',
      selection,
      files,
      failedOf: 'up',
      recorded: false,
      passes: (tenant) => passing(tenant, { includeHeld }),
      visit: (visit) => find(visit, { core, isUpTo, wanted: before ? undefined : atLeast }),
      gather: ({ tenant, outcome, error, reason = '', from: head }, { detail }) => {
        counts.total += 1;
        if (detail?.stamped) stamped += 1;
        if (error) {
          counts.unreachable += 1;
          if (unreachable.length < NAMED) unreachable.push({ tenant, error });
        } else if (outcome === 'skipped') {
          counts.passed += 1;
          if (passed.length < NAMED) passed.push({ tenant, reason });
        } else if (detail?.lacks === undefined) counts.there += 1;
        else {
          counts.behind += 1;
          if (stragglers.length < NAMED) stragglers.push({ tenant, head, lacks: detail.lacks });
        }
      },
    },
    options,
  );
  const { toolVersion, startedAt, durationMs, interrupted, unmet, error } = report;
  const byId = (a: Straggler, b: Straggler) => compareIds(a.tenant.id, b.tenant.id);
  return {
    verb: 'gate',
    atLeast,
    selection: report.selection,
    toolVersion,
    startedAt,
    durationMs,
    interrupted,
    open: !interrupted && !error && unmet === undefined && counts.behind + counts.unreachable === 0,
    counts,
    stamped,
    stragglers: stragglers.sort(byId),
    unreachable,
    passed,
    ...(unmet === undefined ? {} : { unmet }),
    ...(error ? { error } : {}),
  };
}

/** What a tenant lacks; nothing when it is there. */
interface Readiness {
  stamped: boolean;
  lacks?: string;
}

async function find(
  { tenant, target, migrations, options, context }: Visit<Readiness>,
  {
    core,
    isUpTo,
    wanted,
  }: { core: readonly Migration[]; isUpTo(name: string): boolean; wanted: string | undefined },
): Promise<TenantAttempt<Readiness>> {
  const stamped = await context.views.state(tenant, migrations, options);
  if (stamped === 'missing') throw databaseMissing(target);
  const isStamped = typeof stamped === 'object';
  const { plan } = isStamped ? stamped : await inspect(target, { migrations }, options);
  const lacks = lackedBy(plan, isUpTo, wanted) ?? lackedByFolder(migrations, core);
  const detail = { stamped: isStamped, ...(lacks === undefined ? {} : { lacks }) };
  const outcome = lacks === undefined ? 'current' : 'pending';
  return { ...attemptOf({ outcome, from: plan.head, to: plan.head }), detail };
}

const NOT_THERE: ReadonlySet<string> = new Set([
  'pending',
  'out-of-order',
  'failed',
  'interrupted',
  'running',
]);

/** @param wanted that one is to be there though it is deferred; others are left out, as `up` leaves them */
function lackedBy(
  { entries }: Plan,
  isUpTo: (name: string) => boolean,
  wanted: string | undefined,
): string | undefined {
  const isThere = ({ name, state }: Plan['entries'][number]): boolean =>
    state === 'deferred' ? name !== wanted : !NOT_THERE.has(state);
  return entries.find((entry) => isUpTo(entry.name) && !isThere(entry))?.name;
}

/** What a folder of its own lacks is not among its migrations. */
function lackedByFolder(migrations: readonly Migration[], core: readonly Migration[]): string | undefined {
  const names = new Set(migrations.map(({ name }) => name));
  return core.find(({ name }) => !names.has(name))?.name;
}
