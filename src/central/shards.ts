import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { MpmError, type ErrorReport } from '../errors.ts';
import type { Shard } from '../config/shard.ts';
import type { TenantFilter } from './list/filter.ts';
import type { Listing } from './list/listing.ts';
import { resolveFilter } from './list/resolve.ts';

/** A run that several machines share, each with its slice. */
export interface SharedRun extends NewRun {
  key: string;
  shard: Shard;
  total: number;
}

/** One machine's share of a run. */
export interface RunShard {
  part: number;
  parts: number;
  host: string;
  /** `interrupted` also for one that never ended and whose process is gone. */
  outcome: RunOutcome;
  total: number;
}

/** A part as it is stored; `silent`: it has not been heard of for too long. */
export interface RawShard extends RunShard, ProcessId {
  silent: boolean;
}

/**
 * Opens the run of a key, or joins it; a slice that is run again takes its former place. The run's number.
 * @throws MpmError USAGE when the key is that of a run over something else, or cut otherwise
 */
export async function joinRun(listing: Listing, run: SharedRun): Promise<number> {
  const { connection } = listing;
  const place = thisProcess();
  const filter = await resolveFilter(listing, run.filter);
  await connection.prepared(
    `insert into mpm_migrate.runs (verb, selection, filter, tool_version, actor, host, pid, pid_space, run_key)
values ($1, $2, $3::jsonb, $4, $5, $6, $7, $8, $9) on conflict (verb, run_key) where run_key is not null do nothing`,
    [
      run.verb,
      run.selection,
      jsonText(filter),
      run.toolVersion,
      run.actor ?? null,
      place.host,
      place.pid,
      place.pidSpace,
      run.key,
    ],
  );
  const [found] = await connection.prepared<{ number: string; selection: string; parts: number | null }>(
    `select number::text, selection, (select max(parts) from mpm_migrate.run_parts where run = number) as parts
from mpm_migrate.runs where verb = $1 and run_key = $2`,
    [run.verb, run.key],
  );
  const number = Number(found?.number);
  requireSame(run, number, found);
  await connection.prepared(
    `insert into mpm_migrate.run_parts (run, part, parts, host, pid, pid_space, total) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (run, part) do update set host = excluded.host, pid = excluded.pid, pid_space = excluded.pid_space,
  total = excluded.total, seen_at = clock_timestamp(), outcome = 'running', counts = '{}', error = null`,
    [number, run.shard.index, run.shard.of, place.host, place.pid, place.pidSpace, run.total],
  );
  await connection.prepared(
    `update mpm_migrate.runs set outcome = 'running', finished_at = null, seen_at = clock_timestamp(),
  total = (select sum(total) from mpm_migrate.run_parts where run = $1) where number = $1`,
    [number],
  );
  return number;
}

function requireSame(
  { key, verb, selection, shard }: SharedRun,
  number: number,
  found: { selection: string; parts: number | null } | undefined,
): void {
  const other = found && found.selection !== selection;
  if (!other && (found?.parts ?? shard.of) === shard.of) return;
  const what = other ? `${verb} ${found.selection}` : `${found?.parts} slices`;
  throw new MpmError('USAGE', `--run-key ${key} is that of run ${number}, of ${what}`, {
    subject: key,
    hint: 'Use a different key for each deployment, and the same selection and number of slices for all its parts.',
  });
}

/**
 * Closes a part; and the run, when it was the last of its parts: counted by its tenants, for a part that was run again
 * knows only of its last time.
 */
export async function finishShard(
  { connection }: Pick<Listing, 'connection'>,
  run: number,
  part: number,
  end: RunEnd & { outcome: RunOutcome },
): Promise<void> {
  await connection.prepared(
    `update mpm_migrate.run_parts set outcome = $3, counts = $4::jsonb, error = $5::jsonb, total = $6,
  seen_at = clock_timestamp() where run = $1 and part = $2`,
    [run, part, end.outcome, jsonText(end.counts), end.error ? jsonText(end.error) : null, end.counts.total],
  );
  // A statement of its own: of two that end at once, the later one sees that both have ended.
  await connection.prepared(
    `update mpm_migrate.runs set finished_at = clock_timestamp(), seen_at = clock_timestamp(), total = p.total, error = p.error,
  outcome = case when p.outcomes && array['interrupted'] then 'interrupted' when p.outcomes && array['error'] then 'error'
    when p.outcomes && array['failed'] then 'failed' else 'done' end,
  counts = (select coalesce(jsonb_object_agg(c.key, case when c.key in ('total', 'skipped') then c.sum else coalesce(t.count, 0) end), '{}')
    from (select e.key, sum(e.value::bigint) as sum
      from mpm_migrate.run_parts o, jsonb_each_text(o.counts) e where o.run = $1 group by e.key) c
    left join (select outcome, count(*) from mpm_migrate.run_tenants where run = $1 group by outcome) t on t.outcome = c.key)
from (select sum(total)::int as total, array_agg(outcome) as outcomes, count(*) as ended, max(parts) as parts,
    (array_agg(error) filter (where error is not null))[1] as error
  from mpm_migrate.run_parts where run = $1) p
where number = $1 and p.ended = p.parts and not p.outcomes && array['running']`,
    [run],
  );
}

/** The part says that it is alive, as its run does. */
export async function beatShard(
  { connection }: Pick<Listing, 'connection'>,
  run: number,
  part: number,
): Promise<void> {
  await connection.prepared(
    `with whole as (update mpm_migrate.runs set seen_at = clock_timestamp() where number = $1)
update mpm_migrate.run_parts set seen_at = clock_timestamp() where run = $1 and part = $2`,
    [run, part],
  );
}

/** The parts as they are, and what that makes of a run that has not ended; `silent`: nobody is heard of. */
export function shardsOf(
  raw: readonly RawShard[],
  silent: boolean,
): { parts: RunShard[]; outcome: RunOutcome } {
  const parts = raw.map(({ silent: quiet, pid, pidSpace, ...part }): RunShard => {
    const gone = part.outcome === 'running' && (quiet || isGoneHere({ host: part.host, pid, pidSpace }));
    return { ...part, outcome: gone ? 'interrupted' : part.outcome };
  });
  const has = (outcome: RunOutcome) => parts.some((part) => part.outcome === outcome);
  // Those that have not begun yet are waited for, for a while.
  const over = !has('running') && (has('interrupted') || silent);
  return { parts, outcome: over ? 'interrupted' : 'running' };
}

/** What stands for a NUL or a lone surrogate in JSON. */
const UNFIT = /\\u(?:0000|d[89a-f])/;

/** JSON that jsonb takes: NUL and lone surrogates, which error messages may hold, become U+FFFD. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value);
  if (!UNFIT.test(text)) return text;
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'string' ? part.replace(/\0|\p{Surrogate}/gu, '\uFFFD') : part,
  );
}

/**
 * How often a run says that it is alive, and after how much silence it counts as interrupted (ms). A heartbeat
 * and not a lock: behind a transaction pooler a session lock belongs to whoever gets that session next, and a
 * transaction held open as long as a run lasts is what databases are watched for.
 */
export const HEARTBEAT = { every: 5_000, silence: 30_000 } as const;

/** Where a process runs, and which one it is. */
export interface ProcessId {
  host: string;
  pid: number;
  /** Tells containers apart that share a host's name but not its processes; empty where there is no such thing. */
  pidSpace: string;
}

export function thisProcess(): ProcessId {
  return { host: hostname(), pid: process.pid, pidSpace: pidSpace() };
}

/** True when a process ran where this one runs, and is not there any more: known before its silence tells. */
export function isGoneHere({ host, pid, pidSpace: space }: ProcessId): boolean {
  if (host !== hostname() || space !== pidSpace()) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function pidSpace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

export type RunOutcome = 'running' | 'done' | 'failed' | 'interrupted' | 'error';

export interface NewRun {
  verb: string;
  /** In words, as in the report. */
  selection: string;
  /** What `--failed` of this run starts from; kept with its names resolved to ids. */
  filter: TenantFilter;
  toolVersion: string;
  actor?: string | undefined;
  total?: number | undefined;
}

/** How a run ended; a fleet's RunReport is one. */
export interface RunEnd {
  interrupted: boolean;
  counts: { total: number; failed: number; refused: number; busy: number };
  error?: ErrorReport;
}
