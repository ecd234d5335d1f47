import type { Config } from '../../config/define.ts';
import { asMpmError, stopIfAborted } from '../../errors.ts';
import { readSeeds } from '../../tenants/create/seeds.ts';
import { TOOL_VERSION } from '../../version.ts';
import { checkBuild } from '../build-check.ts';
import { chooseMigrations, isUnreadable, readShared } from '../chosen.ts';
import { readFleetFiles } from '../files.ts';
import { compareWithFleet } from '../reality.ts';
import type { CheckReport } from '../report/check-report.ts';
import { lint } from './lint.ts';

export interface CheckOptions {
  /** A branch or commit: what changed since the merge base with it is new. By default what no tenant has applied. */
  since?: string;
  signal?: AbortSignal;
}

/**
 * All that a pull request is to be asked: `lint`; whether the migrations make a database, each new way back restores,
 * and the seeds run, in a database that is dropped afterwards; and whether they fit what tenants have applied, where
 * the central database can be asked. Writes nothing to a tenant or to the central database.
 * @throws MpmError as `lint`; of the server on which a database is made; INTERRUPTED
 */
export async function check(config: Config, options: CheckOptions = {}): Promise<CheckReport> {
  const started = Date.now();
  const { since, signal } = options;
  stopIfAborted(signal);
  const linted = await lint(config, options);
  const files = await readFleetFiles(config);
  const shared = await readShared(config, files);
  const { sets } = await chooseMigrations(config, { files, shared }, options);
  const seeds = await readSeeds(config, files.cache);
  const isNew = sets[0]?.chosen ?? (() => false);
  const built = await checkBuild(config, { migrations: shared, seeds }, isNew, signal);
  const others = sets.slice(1).length;
  const leftOut = [
    ...built.leftOut,
    ...(others
      ? [
          `new migrations in ${others} ${others === 1 ? 'other folder' : 'other folders'}, of tenants or of the central database, are linted, and not built`,
        ]
      : []),
  ];
  const report: CheckReport = {
    verb: 'check',
    toolVersion: TOOL_VERSION,
    startedAt: new Date(started).toISOString(),
    durationMs: 0,
    lint: linted,
    counts: { ...built.counts, tenants: 0 },
    problems: built.problems,
    leftOut,
    unreachable: [],
  };
  if (config.central.absent) {
    leftOut.push(
      'not compared with what tenants have applied: there is no central database in the configuration',
    );
  } else {
    try {
      const base = linted.since?.base ?? since;
      const { problems, tenants, unreachable } = await compareWithFleet(config, files, {
        since: base,
        signal,
      });
      report.problems = [...report.problems, ...problems];
      report.counts.tenants = tenants;
      report.unreachable = unreachable;
    } catch (error) {
      const known = asMpmError(error);
      if (signal?.aborted || !isUnreadable(known)) throw error;
      leftOut.push(`not compared with what tenants have applied: ${known.message}`);
    }
  }
  return { ...report, durationMs: Date.now() - started };
}
