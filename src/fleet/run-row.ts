import type { Central } from '../central/central.ts';
import type { Shard } from '../central/filter.ts';
import { finishPart, joinRun } from '../central/parts.ts';
import { type RunRow, createRun, finishRun, outcomeOf } from '../central/runs.ts';
import { parseShard } from '../config/shard.ts';
import type { RunReport } from './report.ts';
import { type Selection, describeSelection } from './select.ts';
import type { Survey } from './sweep.ts';

/** Writes the run's row; its number, or null when there is nobody to run for. */
export async function openRun(
  central: Central,
  { total, filter }: Survey,
  head: { verb: string; selection: string; toolVersion: string },
  selection: Selection,
  key: string | undefined,
): Promise<number | null> {
  // A slice without tenants is a part all the same: the run ends with the last of them.
  if (total === 0 && key === undefined) return null;
  const { actor } = central.config;
  if (key === undefined) return createRun(central, { ...head, filter, total, actor });
  // What `--failed` of the run means later is all of the deployment.
  const { shard: _, ...whole } = filter;
  const { shard: __, ...said } = selection;
  const words = describeSelection(said);
  const shard = shardOf(selection);
  return joinRun(central, { ...head, selection: words, filter: whole, total, actor, key, shard });
}

/** Which slice of its run this is. */
export function shardOf({ shard }: Selection): Shard {
  return shard === undefined ? { index: 1, of: 1 } : parseShard(shard);
}

/** Writes the end of a run, or of one's part of it. */
export function closeRun(
  central: Central,
  run: number,
  part: number | undefined,
  end: RunReport,
): Promise<void> {
  if (part === undefined) return finishRun(central, run, end);
  return finishPart(central, run, part, { ...end, outcome: outcomeOf(end) });
}

/** What is told of another run that is in progress. */
export function describeActive({
  number,
  verb,
  selection,
  actor,
  databaseUser,
  host,
  startedAt,
}: RunRow): string {
  const who = `${actor ?? databaseUser} on ${host}`;
  return `Run ${number} (${verb} ${selection}) is in progress, by ${who} since ${startedAt}; two at once are safe.`;
}
