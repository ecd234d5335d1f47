import { type ErrorReport, MpmError } from '../errors.ts';
import { type LeftBy, SETTLED, type TenantFilter } from './list/filter.ts';
import type { Listing } from './list/listing.ts';
import {
  HEARTBEAT,
  isGoneHere,
  type ProcessId,
  thisProcess,
  jsonText,
  shardsOf,
  type RawShard,
  type RunShard,
  type NewRun,
  type RunEnd,
  type RunOutcome,
} from './shards.ts';
import { resolveFilter } from './list/resolve.ts';

type Ledger = Pick<Listing, 'connection'>;

/** A run as the ledger has it. Times are ISO 8601, UTC. */
export interface RunRow {
  number: number;
  verb: string;
  selection: string;
  toolVersion: string;
  actor: string | null;
  databaseUser: string;
  host: string;
  pid: number;
  startedAt: string;
  seenAt: string;
  finishedAt: string | null;
  /** `interrupted` also for a run that never ended and whose process is gone. */
  outcome: RunOutcome;
  total: number | null;
  /** By outcome; of a run without an end, counted from its tenants. */
  counts: Record<string, number>;
  error: ErrorReport | null;
  /** Of a run that several machines share (`--run-key`). */
  parts?: RunShard[];
}

/** One tenant's outcome; a fleet's TenantResult is one. */
export interface TenantRecord {
  tenant: { id: string; name: string; database: string; server: string };
  outcome: string;
  from: string | null;
  to: string | null;
  applied: readonly { name: string; direction: 'up' | 'down'; durationMs: number }[];
  durationMs: number;
  attempts: number;
  error?: ErrorReport;
  reason?: string;
}

/** Opens a run; its number. */
export async function createRun(listing: Listing, run: NewRun): Promise<number> {
  const place = thisProcess();
  const filter = await resolveFilter(listing, run.filter);
  const [row] = await listing.connection.prepared<{ number: string }>(
    `insert into mpm_migrate.runs (verb, selection, filter, tool_version, actor, host, pid, pid_space, total)
values ($1, $2, $3::jsonb, $4, $5, $6, $7, $8, $9) returning number`,
    [
      run.verb,
      run.selection,
      jsonText(filter),
      run.toolVersion,
      run.actor ?? null,
      place.host,
      place.pid,
      place.pidSpace,
      run.total ?? null,
    ],
  );
  return Number(row?.number);
}

/** Closes a run. */
export async function finishRun({ connection }: Ledger, run: number, end: RunEnd): Promise<void> {
  await connection.prepared(
    `update mpm_migrate.runs set outcome = $2, counts = $3::jsonb, error = $4::jsonb, total = $5,
  finished_at = clock_timestamp(), seen_at = clock_timestamp() where number = $1`,
    [run, outcomeOf(end), jsonText(end.counts), end.error ? jsonText(end.error) : null, end.counts.total],
  );
}

/** A run's end in one word. */
export function outcomeOf({ interrupted, error, counts }: RunEnd): RunOutcome {
  if (interrupted) return 'interrupted';
  if (error) return 'error';
  return counts.failed + counts.refused + counts.busy > 0 ? 'failed' : 'done';
}

/** Says that a run is alive; every {@link HEARTBEAT}.every while it lasts. */
export async function beat({ connection }: Ledger, run: number): Promise<void> {
  await connection.prepared('update mpm_migrate.runs set seen_at = clock_timestamp() where number = $1', [
    run,
  ]);
}

/**
 * Records what became of tenants, all in one statement; also a heartbeat. Twice is once; a slice that is run again adds
 * to what was applied (fleet 55). The disk is not waited for:
 * of a server that crashes it may lack the last second, whose tenants then count as not tried; the run's end is.
 */
export async function recordTenants(
  { connection }: Ledger,
  run: number,
  records: readonly TenantRecord[],
): Promise<void> {
  // One statement cannot set a row twice: of one tenant's records the last one counts.
  const latest = [...new Map(records.map((record) => [record.tenant.id, record])).values()];
  const rows = latest.map(({ tenant: { id, name, database, server }, outcome, from, to, ...record }) => {
    const { applied, durationMs, attempts, reason } = record;
    // A folder's problems would be kept once a tenant; the message has the first of them.
    const error = record.error && { ...record.error, problems: undefined };
    const done = applied.length ? { applied } : {};
    return { id, name, database, server, outcome, from, to, ...done, durationMs, attempts, reason, error };
  });
  await connection.prepared(
    `with beat as (update mpm_migrate.runs set seen_at = clock_timestamp() where number = $1 returning run_key is not null as shared)
insert into mpm_migrate.run_tenants (run, tenant_id, name, database, server, outcome, from_migration, to_migration,
  applied, duration_ms, attempts, reason, error_code, error_message, error)
select $1, r.id, r.name, r.database, r.server, r.outcome, r."from", r."to",
  coalesce(r.applied, '[]'), r."durationMs", r.attempts, r.reason, r.error ->> 'code', r.error ->> 'message', r.error
from (select pg_catalog.set_config('synchronous_commit', 'off', true)) as unhurried,
  json_to_recordset($2::json) as r (id text, name text, database text, server text, outcome text, "from" text, "to" text,
  applied jsonb, "durationMs" double precision, attempts integer, reason text, error jsonb)
on conflict (run, tenant_id) do update set
  outcome = case when (select shared from beat) and excluded.outcome = 'current' and run_tenants.outcome in ('migrated', 'reverted')
    then run_tenants.outcome else excluded.outcome end,
  from_migration = case when (select shared from beat) and run_tenants.applied <> '[]' then run_tenants.from_migration else excluded.from_migration end,
  to_migration = excluded.to_migration,
  applied = case when not (select shared from beat) then excluded.applied
    when run_tenants.applied @> excluded.applied then run_tenants.applied else run_tenants.applied || excluded.applied end, duration_ms = excluded.duration_ms,
  attempts = excluded.attempts, reason = excluded.reason, error_code = excluded.error_code,
  error_message = excluded.error_message, error = excluded.error, recorded_at = clock_timestamp()`,
    [run, jsonText(rows)],
  );
}

interface RawRun extends Omit<RunRow, 'number' | 'parts'>, ProcessId {
  number: string;
  parts: RawShard[] | null;
  silent: boolean;
}

const iso = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const SELECT_RUN = `select number::text, verb, selection, tool_version as "toolVersion", actor, database_user as "databaseUser",
  host, pid, pid_space as "pidSpace", ${iso('started_at')} as "startedAt", ${iso('seen_at')} as "seenAt",
  ${iso('finished_at')} as "finishedAt", outcome, total, error,
  clock_timestamp() - seen_at > ${HEARTBEAT.silence} * interval '1 ms' as silent,
  case when outcome = 'running' then coalesce((select jsonb_object_agg(o.outcome, o.count) from (
    select t.outcome, count(*) from mpm_migrate.run_tenants t where t.run = runs.number group by 1) o), '{}') else counts end as counts,
  (select jsonb_agg(jsonb_build_object('part', p.part, 'parts', p.parts, 'host', p.host, 'pid', p.pid, 'pidSpace', p.pid_space,
    'outcome', p.outcome, 'total', p.total, 'silent', clock_timestamp() - p.seen_at > ${HEARTBEAT.silence} * interval '1 ms') order by p.part)
    from mpm_migrate.run_parts p where p.run = runs.number) as parts
from mpm_migrate.runs`;

/** The runs, the newest first; `before` is the last number of the page before. */
export async function listRuns(
  { connection }: Ledger,
  options: { limit?: number; before?: number; verb?: string } = {},
): Promise<RunRow[]> {
  const rows = await connection.prepared<RawRun>(
    `${SELECT_RUN} where ($1::bigint is null or number < $1) and ($2::text is null or verb = $2) order by runs.number desc limit $3`,
    [options.before ?? null, options.verb ?? null, options.limit ?? 20],
  );
  return rows.map(runOf);
}

export async function lastRun(ledger: Ledger, verb?: string): Promise<RunRow | undefined> {
  return (await listRuns(ledger, { limit: 1, ...(verb === undefined ? {} : { verb }) }))[0];
}

/** @throws MpmError UNKNOWN_RUN */
export async function findRun({ connection }: Ledger, number: number): Promise<RunRow> {
  const fits = Number.isSafeInteger(number) && number > 0;
  const [row] = fits ? await connection.prepared<RawRun>(`${SELECT_RUN} where number = $1`, [number]) : [];
  if (row) return runOf(row);
  const last = await lastRun({ connection });
  throw new MpmError('UNKNOWN_RUN', `There is no run ${number}`, {
    subject: String(number),
    hint: last ? `The last run is ${last.number}: mpm-migrate run list` : 'There are no runs yet.',
  });
}

/** Runs that are alive, but for the given one: two at once are safe, and the second one says so (fleet 10). */
export async function activeRuns({ connection }: Ledger, except?: number): Promise<RunRow[]> {
  const rows = await connection.prepared<RawRun>(
    `${SELECT_RUN} where outcome = 'running' and number is distinct from $1 order by runs.number`,
    [except ?? null],
  );
  return rows.map(runOf).filter((run) => run.outcome === 'running');
}

/** A run's tenants in the order of being recorded; all, or those with one of the outcomes. */
export async function runTenants(
  { connection }: Ledger,
  run: number,
  options: { outcomes?: readonly string[]; limit?: number } = {},
): Promise<(TenantRecord & { recordedAt: string })[]> {
  const rows = await connection.prepared<TenantRecord & { recordedAt: string }>(
    `select jsonb_build_object('id', tenant_id, 'name', name, 'database', database, 'server', server) as tenant, outcome,
  from_migration as "from", to_migration as "to", applied, duration_ms as "durationMs", attempts, reason, error,
  ${iso('recorded_at')} as "recordedAt"
from mpm_migrate.run_tenants where run = $1 and ($2::text[] is null or outcome = any($2)) order by recorded_at, tenant_id limit $3`,
    [run, options.outcomes ?? null, options.limit ?? null],
  );
  return rows.map(withoutNulls);
}

/**
 * The tenants that failed or were not tried in a run, a killed one too.
 * @param run a number, or the last run of `verb`
 * @throws MpmError UNKNOWN_RUN
 */
export async function leftByRun({ connection }: Ledger, run: number | 'last', verb: string): Promise<LeftBy> {
  const found = run === 'last' ? await lastRun({ connection }, verb) : await findRun({ connection }, run);
  if (!found) {
    throw new MpmError('UNKNOWN_RUN', `--failed: there is no run of "${verb}" yet`, {
      hint:
        verb === 'exec'
          ? "Only exec --write is recorded. To ask everybody: mpm-migrate exec --all --sql 'select 1'"
          : `Start with: mpm-migrate ${verb} --all`,
    });
  }
  return withUnrecorded({ connection }, found);
}

/**
 * The tenants that a run of `up` changed, or may have changed.
 * @throws MpmError UNKNOWN_RUN; USAGE for a run of another verb, and for one that is in progress
 */
export async function changedByRun({ connection }: Ledger, run: number): Promise<LeftBy> {
  const found = await findRun({ connection }, run);
  if (found.verb !== 'up') {
    throw new MpmError(
      'USAGE',
      `--run ${run}: run ${run} is not a run of up: ${found.verb} ${found.selection}`,
      {
        subject: String(run),
        hint: 'Only what up applied can be reverted by run. To list the runs: mpm-migrate run list',
      },
    );
  }
  if (found.outcome === 'running') {
    throw new MpmError('USAGE', `--run ${run}: run ${run} is still in progress, on ${found.host}`, {
      subject: String(run),
      hint: `Wait until it ends, or stop it. To look: mpm-migrate run show ${run}`,
    });
  }
  return withUnrecorded({ connection }, found);
}

async function withUnrecorded({ connection }: Ledger, { number, outcome }: RunRow): Promise<LeftBy> {
  if (outcome === 'done' || outcome === 'failed') return { run: number };
  const [row] = await connection.prepared<{ filter: TenantFilter }>(
    'select filter from mpm_migrate.runs where number = $1',
    [number],
  );
  return { run: number, unrecorded: row?.filter ?? {} };
}

/** The last run of a verb that failed at somebody whom no later one has settled. */
export async function lastThatLeft({ connection }: Ledger, verb: string): Promise<number | undefined> {
  const [row] = await connection.prepared<{ run: string }>(
    `select max(r.run)::text as run from mpm_migrate.run_tenants r join mpm_migrate.runs n on n.number = r.run
where n.verb = $1 and r.outcome in ('failed', 'refused', 'busy') and not exists (
  select from mpm_migrate.run_tenants l join mpm_migrate.runs m on m.number = l.run
  where l.tenant_id = r.tenant_id and l.run > r.run and m.verb = $1 and l.outcome = any($2::text[]))`,
    [verb, SETTLED],
  );
  return row?.run ? Number(row.run) : undefined;
}

function runOf({ silent, pidSpace, parts: raw, ...row }: RawRun): RunRow {
  if (raw) {
    const { parts, outcome } = shardsOf(raw, silent);
    return {
      ...row,
      number: Number(row.number),
      parts,
      outcome: row.outcome === 'running' ? outcome : row.outcome,
    };
  }
  const gone = row.outcome === 'running' && (silent || isGoneHere({ ...row, pidSpace }));
  return { ...row, number: Number(row.number), outcome: gone ? 'interrupted' : row.outcome };
}

function withoutNulls<T extends { reason?: unknown; error?: unknown }>(row: T): T {
  const { reason, error, ...rest } = row;
  return { ...rest, ...(reason == null ? {} : { reason }), ...(error == null ? {} : { error }) } as T;
}
