import { basename, dirname, join, relative } from 'node:path';
import type { Config } from '../config/define.ts';
import { inspect } from '../engine/history/lost.ts';
import type { Migration } from '../engine/migration.ts';
import type { Plan } from '../engine/plan.ts';
import { compareNames, leadOf, type Order, versionOf } from '../engine/source/name.ts';
import { nextName } from '../engine/source/next-name.ts';
import { databaseMissing } from '../postgres/connect.ts';
import { shellWord } from '../shell-word.ts';
import { attemptOf } from './attempt.ts';
import type { FleetFiles } from './files.ts';
import type { CheckKind, CheckProblem, CheckReport } from './report/check-report.ts';
import type { TenantRef } from './report/report.ts';
import { walk } from './walk.ts';

/** So many tenants are named of each problem. */
const NAMED = 5;

/** Tenants at which something is so. */
class Those {
  count = 0;
  readonly first: TenantRef[] = [];

  add(tenant: TenantRef): void {
    this.count += 1;
    if (this.first.length < NAMED) this.first.push(tenant);
  }
}

type Counted = Map<string, Those>;

function note(counted: Counted, name: string, tenant: TenantRef): void {
  const those = counted.get(name) ?? new Those();
  counted.set(name, those);
  those.add(tenant);
}

/**
 * What doesn't fit what tenants have applied: files that come too late, that were edited, that have the version of
 * another one. By the head stamps; tenants are connected to where these do not say. Writes nothing.
 * @throws MpmError when the central database cannot be read; INTERRUPTED
 */
export async function compareWithFleet(
  config: Config,
  files: FleetFiles,
  { since, signal }: { since: string | undefined; signal: AbortSignal | undefined },
): Promise<{ problems: CheckProblem[]; tenants: number; unreachable: CheckReport['unreachable'] }> {
  const [late, edited, gone]: [Counted, Counted, Counted] = [new Map(), new Map(), new Map()];
  const byName = new Map<string, Migration>();
  const unreachable: CheckReport['unreachable'] = [];
  let tenants = 0;
  const report = await walk<{ plan: Plan; migrations: readonly Migration[] }>(
    config,
    {
      name: 'check',
      selection: { all: true },
      files,
      recorded: false,
      // Whoever is on hold has applied what it has applied.
      passes: () => true,
      visit: async ({ tenant, target, migrations, options, context }) => {
        const stamped = await context.views.state(tenant, migrations, options);
        if (stamped === 'missing') throw databaseMissing(target);
        const found = typeof stamped === 'object' ? stamped : await inspect(target, { migrations }, options);
        return { ...attemptOf({ outcome: 'current' }), detail: { plan: found.plan, migrations } };
      },
      gather: ({ tenant, error }, { detail }) => {
        if (!detail) {
          if (error && unreachable.length < NAMED) unreachable.push({ tenant, error });
          return;
        }
        tenants += 1;
        for (const { name, state, migration } of detail.plan.entries) {
          if (migration) byName.set(name, migration);
          if (state === 'out-of-order') note(late, name, tenant);
          if (state === 'changed') note(edited, name, tenant);
          if (state === 'missing' || state === 'future') note(gone, name, tenant);
        }
      },
    },
    signal ? { signal } : {},
  );
  if (report.interrupted) signal?.throwIfAborted();
  const { order } = config.migrations;
  const names = [...files.core.migrations.map(({ name }) => name), ...gone.keys()];
  const problem = (
    kind: CheckKind,
    migration: Migration,
    those: Those,
    rest: Pick<CheckProblem, 'message' | 'hint'>,
  ) => ({
    kind,
    migration: migration.name,
    file: migration.path,
    ...rest,
    tenants: { count: those.count, first: those.first },
  });
  const some = ({ count }: Those) => (count === 1 ? '1 tenant has' : `${count} tenants have`);
  const problems: CheckProblem[] = [];
  for (const [name, those] of gone) {
    const version = versionOf(name);
    const twin = files.core.migrations.find((each) => version !== '' && each.version === version);
    if (!twin || twin.name === name) continue;
    const message = `${twin.name} has the version of ${name}, which ${some(those)} applied, and which has no file here`;
    problems.push(problem('same-version', twin, those, { message, hint: renaming(twin, names, order) }));
  }
  for (const [name, those] of late) {
    const migration = byName.get(name);
    // Of one that has another's version, that is said already.
    if (!migration || problems.some((said) => said.migration === name)) continue;
    const message = `${name} is older than what ${some(those)} applied: up refuses it there`;
    problems.push(problem('late', migration, those, { message, hint: renaming(migration, names, order) }));
  }
  for (const [name, those] of edited) {
    const migration = byName.get(name);
    if (!migration) continue;
    const restore =
      since === undefined
        ? 'Restore it'
        : `git checkout ${shellWord(since)} -- ${shellWord(shown(migration.path))}`;
    problems.push(
      problem('edited', migration, those, {
        message: `${name} was edited, but ${some(those)} applied it as it was`,
        hint: `${restore}\nWrite what is to change into a new migration: mpm-migrate create NAME`,
      }),
    );
  }
  return { problems, tenants, unreachable };
}

/** The commands that give a migration's files a name behind all others, which is then one of them. */
function renaming(migration: Migration, names: string[], order: Order): string {
  const { name, path, down } = migration;
  names.sort((a, b) => compareNames(a, b, order));
  let newer: string;
  try {
    newer = nextName(slugIn(basename(name)), { names, order, now: new Date() });
  } catch {
    return `Give it a name that comes behind ${names.at(-1)}.`;
  }
  names.push(newer);
  const isFolder = basename(dirname(path)) === basename(name);
  const files = isFolder ? [dirname(path)] : [...new Set([path, ...(down ? [down.path] : [])])];
  return files
    .map((file) => {
      const to = join(dirname(file), basename(file).replace(basename(name), basename(newer)));
      return `git mv ${shellWord(shown(file))} ${shellWord(shown(to))}`;
    })
    .join('\n');
}

/** What stands behind a name's number or date. */
function slugIn(name: string): string {
  const length = leadOf(name)?.text.length ?? 0;
  return name.slice(length).replace(/^[_-]+/, '');
}

function shown(path: string): string {
  return relative(process.cwd(), path) || path;
}
