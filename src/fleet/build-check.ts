import { compareCatalogs, plainDifference } from '../engine/catalog/compare.ts';
import { type CatalogObject, readCatalog } from '../engine/catalog/query.ts';
import type { Config } from '../config/define.ts';
import type { Migration } from '../engine/migration.ts';
import { asMpmError, type MpmError } from '../errors.ts';
import { migrateAndSeed, type NewDatabase, revertLast } from '../tenants/create/migrate-and-seed.ts';
import { inThrowaway } from '../tenants/create/throwaway.ts';
import { withNewDatabase } from '../tenants/server.ts';
import type { CheckKind, CheckProblem } from './report/check-report.ts';
import { withServerFor } from './sent.ts';

const THROWAWAY = { prefix: 'mpm_check_', purpose: 'check' };

/** So many differences are said of a way back that doesn't restore. */
const SAID = 5;

export interface Built {
  problems: CheckProblem[];
  counts: { built: number; reverted: number; seeds: number };
  leftOut: string[];
}

/**
 * Applies migrations, from the first to the last, and seeds to a database that is dropped afterwards, where `lint`
 * would make one. Of each new one, its way back is tried, and what it leaves compared with what was there before.
 * @throws MpmError of the server; INTERRUPTED
 */
export function checkBuild(
  config: Config,
  { migrations, seeds }: { migrations: readonly Migration[]; seeds: readonly Migration[] },
  isNew: (migration: Migration) => boolean,
  signal: AbortSignal | undefined,
): Promise<Built> {
  return withServerFor(config, (own, server) =>
    inThrowaway(own, server, THROWAWAY, (place) => {
      // Here nobody waits for anybody.
      const released = new Set(migrations.map(({ name }) => name));
      return build({ ...own, released }, place, { migrations, seeds, isNew, signal });
    }),
  );
}

interface BuildSources {
  migrations: readonly Migration[];
  seeds: readonly Migration[];
  isNew: (migration: Migration) => boolean;
  signal: AbortSignal | undefined;
}

async function build(config: Config, place: NewDatabase, work: BuildSources): Promise<Built> {
  const { migrations, seeds, isNew, signal } = work;
  const how = signal ? { signal } : {};
  const found: Built = { problems: [], counts: { built: 0, reverted: 0, seeds: 0 }, leftOut: [] };
  const upTo = async (count: number): Promise<void> => {
    await migrateAndSeed(config, place, { migrations: migrations.slice(0, count), seeds: [] }, how);
    found.counts.built = Math.max(found.counts.built, count);
  };
  try {
    for (const [index, migration] of migrations.entries()) {
      if (!isNew(migration) || !migration.down) continue;
      await upTo(index);
      const before = await objectsOf(config, place);
      await upTo(index + 1);
      const problem = await wayBack(config, place, {
        migrations: migrations.slice(0, index + 1),
        before,
        how,
      });
      found.counts.reverted += 1;
      if (!problem) continue;
      found.problems.push(problem);
      // What a way back has left would be in the way of the others.
      if (index + 1 < migrations.length)
        found.leftOut.push(`what comes behind ${migration.name} was not built: its way back doesn't restore`);
      return found;
    }
    await upTo(migrations.length);
  } catch (error) {
    return { ...found, ...unbuilt(found, migrations, error, signal) };
  }
  try {
    await migrateAndSeed(config, place, { migrations, seeds }, how);
    found.counts.seeds = seeds.length;
  } catch (error) {
    if (signal?.aborted) throw error;
    found.problems.push(problemOf('seed', seeds, asMpmError(error)));
  }
  return found;
}

async function wayBack(
  config: Config,
  place: NewDatabase,
  {
    migrations,
    before,
    how,
  }: { migrations: readonly Migration[]; before: CatalogObject[]; how: { signal?: AbortSignal } },
): Promise<CheckProblem | undefined> {
  try {
    await revertLast(config, place, migrations, how);
  } catch (error) {
    if (how.signal?.aborted) throw error;
    return problemOf('down', migrations, asMpmError(error));
  }
  const { database } = place;
  const after = await objectsOf(config, place);
  const differences = compareCatalogs({ database, objects: before }, { database, objects: after });
  const [last] = migrations.slice(-1);
  if (differences.length === 0 || !last) return undefined;
  const said = differences.slice(0, SAID).map((each) => plainDifference(each).message);
  const more = differences.length > SAID ? `, and ${differences.length - SAID} more` : '';
  return {
    kind: 'down',
    migration: last.name,
    file: last.down?.path ?? last.path,
    message: `the way back of ${last.name} doesn't restore what was there: ${said.join('; ')}${more}`,
    hint: 'Make it restore the schema; or remove it, if there is no way back.',
  };
}

function objectsOf(config: Config, place: NewDatabase): Promise<CatalogObject[]> {
  const { history, pace } = config;
  return withNewDatabase(config, place, (own) =>
    readCatalog(own, { history, comments: false, lockTimeout: pace.lockTimeout }),
  );
}

function unbuilt(
  { problems, leftOut, counts }: Built,
  migrations: readonly Migration[],
  thrown: unknown,
  signal: AbortSignal | undefined,
): Pick<Built, 'problems' | 'leftOut'> {
  const error = asMpmError(thrown);
  if (signal?.aborted) throw error;
  const foreign = migrations.find(({ up }) => up.kind === 'foreign');
  if (foreign && error.code === 'PLAN_REFUSED') {
    return { problems, leftOut: [...leftOut, `no database was built: ${error.message}`] };
  }
  if (error.migration === undefined) throw error;
  counts.built = Math.max(
    0,
    migrations.findIndex(({ name }) => name === error.migration),
  );
  return { leftOut, problems: [...problems, problemOf('build', migrations, error)] };
}

function problemOf(kind: CheckKind, among: readonly Migration[], error: MpmError): CheckProblem {
  const migration = among.find(({ name }) => name === error.migration);
  if (!migration) throw error;
  const { excerpt } = error;
  return {
    kind,
    migration: migration.name,
    file: excerpt?.file ?? migration.path,
    message: `${migration.name}: ${error.message}`,
    hint: 'Fix it: as it is, no new tenant gets through it.',
    ...(excerpt && { excerpt }),
  };
}
