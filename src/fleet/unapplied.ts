import type { Config } from '../config/define.ts';
import { inspect } from '../engine/history/lost.ts';
import type { Migration } from '../engine/migration.ts';
import type { Plan } from '../engine/plan.ts';
import { databaseMissing } from '../postgres/connect.ts';
import { attemptOf } from './attempt.ts';
import type { FleetFiles } from './files.ts';
import type { SweepOptions } from './schedule/sweep.ts';
import { walk } from './walk.ts';

/** What tenants have applied. */
export interface Applied {
  /** Keys of migrations that a tenant has applied ({@link keyOf}). */
  keys: ReadonlySet<string>;
  /** The lists of tenants with files of their own, by those files' folder. */
  own: ReadonlyMap<string, readonly Migration[]>;
  /** Tenants that could not be looked at. */
  unknown: number;
}

/** A tenant's own file is no other's; core's are everybody's, whatever folder a copy is in. */
export function keyOf({ source, name, path }: Migration): string {
  return source === 'tenant' ? path : name;
}

/** States in which a tenant doesn't have a migration. */
const UNTOUCHED: ReadonlySet<string> = new Set(['pending', 'out-of-order', 'failed', 'deferred']);

/**
 * Which migrations any tenant has applied, by the head stamps: one query a server; a tenant is connected to only where
 * its stamp does not say. Writes nothing.
 * @throws MpmError when the central database cannot be read
 */
export async function readApplied(
  config: Config,
  files: FleetFiles,
  options: Pick<SweepOptions, 'signal'>,
): Promise<Applied> {
  const keys = new Set<string>();
  const own = new Map<string, readonly Migration[]>();
  let unknown = 0;
  const report = await walk<{ plan: Plan; migrations: readonly Migration[] }>(
    config,
    {
      name: 'lint',
      selection: { all: true },
      files,
      recorded: false,
      // Whoever is on hold has applied what it has applied.
      passes: () => true,
      visit: async ({ tenant, target, migrations, options: how, context }) => {
        const stamped = await context.views.state(tenant, migrations, how);
        if (stamped === 'missing') throw databaseMissing(target);
        const { plan } = typeof stamped === 'object' ? stamped : await inspect(target, { migrations }, how);
        return { ...attemptOf({ outcome: 'current' }), detail: { plan, migrations } };
      },
      gather: (_, { detail }) => {
        if (!detail) {
          unknown += 1;
          return;
        }
        const byName = new Map(detail.migrations.map((migration) => [migration.name, migration]));
        for (const { name, state } of detail.plan.entries) {
          const migration = byName.get(name);
          if (migration && !UNTOUCHED.has(state)) keys.add(keyOf(migration));
        }
        for (const { source, path } of detail.migrations)
          if (source === 'tenant') own.set(path, detail.migrations);
      },
    },
    options,
  );
  if (report.interrupted) options.signal?.throwIfAborted();
  return { keys, own, unknown };
}
