import type { Listing } from './list/listing.ts';

/** How long tenants took when the same was last done to them. Times in ms. */
export interface PastTimes {
  /** Those that took long, by id; the longest first. */
  longest: ReadonlyMap<string, number>;
  /** What one of the others took, on average. */
  typical: number;
}

/** So many are told apart: the order of what is short changes a run's time by little. */
const MOST = 1000;
/** Ms: what takes less is not long, however short the others are. */
const LONG = 500;
/** Runs are looked at back to this one, and as far as their tenants are so many times the fleet. */
const REACH = { runs: 200, fleets: 3 };

/**
 * Which tenants took long in the last runs of a verb that changed them: over half a second, and twice what the middle one
 * took. Undefined where none did.
 * @param total how many tenants are asked about, for how far to look back
 */
export async function pastTimes(
  { connection }: Pick<Listing, 'connection'>,
  verb: string,
  total: number,
): Promise<PastTimes | undefined> {
  const [row] = await connection.prepared<{ longest: Record<string, number> | null; typical: number | null }>(
    `with recent as (select number, coalesce(total, 0) as total from mpm_migrate.runs where verb = $1 order by number desc limit ${REACH.runs}),
enough as (select number from (select number, sum(total) over (order by number desc) - total as behind from recent) r where behind < $2 * ${REACH.fleets}),
last as (select distinct on (t.tenant_id) t.tenant_id as id, t.duration_ms as ms from mpm_migrate.run_tenants t
  where t.run in (select number from enough) and t.applied <> '[]' order by t.tenant_id, t.run desc),
ranked as (select id, ms, row_number() over (order by ms desc, id) <= ${MOST}
  and ms >= greatest(${LONG}, 2 * (select percentile_cont(0.5) within group (order by ms) from last)) as long from last)
select jsonb_object_agg(id, ms) filter (where long) as longest, avg(ms) filter (where not long) as typical from ranked`,
    [verb, total],
  );
  if (!row?.longest) return undefined;
  const longest = Object.entries(row.longest).sort(([, a], [, b]) => b - a);
  return { longest: new Map(longest), typical: row.typical ?? longest.at(-1)?.[1] ?? LONG };
}
