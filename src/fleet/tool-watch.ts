import { createHash } from 'node:crypto';
import type { Central } from '../central/central.ts';
import { type KnownTool, readTools } from '../central/tools.ts';
import type { Tenant } from '../central/list/tenant.ts';
import { countApplied } from '../dialects/adopt.ts';
import { copyAgain, fromFlags, parseAgain, type ToolHistory } from '../dialects/read-tool.ts';
import type { AppliedElsewhere } from '../dialects/tool.ts';
import { TOOL_NAMES, type ToolName } from '../dialects/tool-names.ts';
import type { Rider } from '../engine/history/read.ts';
import type { Migration } from '../engine/migration.ts';
import { refOf } from './attempt.ts';
import { compareIds, type GrownTool } from './report/report.ts';
import { hintForAll } from './report/group-hint.ts';
import { serialize } from './schedule/serialize.ts';

/** So many tenants are named in a command; beyond, it says `--all`. */
const MOST_IDS = 1000;
const SHOWN = 5;

/** What is remembered of another tool's history once it was taken over. */
export function knownToolOf(
  { tool, place, applied }: ToolHistory,
  migrations: readonly Migration[],
): Omit<KnownTool, 'since'> {
  return { tool, ...place, applied: countApplied(migrations, { tool, applied }), digest: digestOf(applied) };
}

function digestOf(applied: readonly AppliedElsewhere[]): string {
  const lines = applied.map(({ applied: text, reach }) => `${reach} ${text}\n`).toSorted();
  return createHash('sha256').update(lines.join('')).digest('hex');
}

/** Looks whether tools whose histories were taken over have gone on since; each look travels with the history's. */
export class ToolWatch {
  readonly #known: ReadonlyMap<string, KnownTool>;
  readonly #grown = new Map<string, GrownTool & { ids: string[]; flags: string }>();
  readonly #counted = new Set<string>();

  constructor(known: ReadonlyMap<string, KnownTool>) {
    this.#known = known;
  }

  /** Undefined where nothing is remembered, or this user may not read it. */
  static async open(central: Central): Promise<ToolWatch | undefined> {
    const known = await serialize(central, () => readTools(central)).catch(
      () => new Map<string, KnownTool>(),
    );
    return known.size ? new ToolWatch(known) : undefined;
  }

  has({ id }: Pick<Tenant, 'id'>): boolean {
    return this.#known.has(id);
  }

  /** What is to be read with the history of a tenant. */
  riderOf(tenant: Tenant, migrations: readonly Migration[]): Rider | undefined {
    const known = this.#known.get(tenant.id);
    const tool = TOOL_NAMES.find((name) => name === known?.tool);
    if (!known || !tool) return undefined;
    return {
      sql: copyAgain(tool, known),
      take: (copied) => this.#compare(tenant, known, historyIn(tool, copied), migrations),
    };
  }

  #compare(
    tenant: Tenant,
    known: KnownTool,
    applied: readonly AppliedElsewhere[] | undefined,
    migrations: readonly Migration[],
  ): void {
    if (this.#counted.has(tenant.id) || (applied && digestOf(applied) === known.digest)) return;
    this.#counted.add(tenant.id);
    const { since } = known;
    const tool = known.tool as ToolName;
    // Of a tool whose migrations aren't files, one that is recorded: then nothing more is.
    const flags = fromFlags(tool, known, migrations[0]?.name);
    const group = this.#grown.get(flags) ?? {
      tool,
      flags,
      applied: 0,
      since,
      count: 0,
      tenants: [],
      ids: [],
      remedy: '',
    };
    this.#grown.set(flags, group);
    group.count += 1;
    if (applied) group.applied += Math.max(0, countApplied(migrations, { tool, applied }) - known.applied);
    if (since < group.since) group.since = since;
    if (group.tenants.length < SHOWN) group.tenants.push(refOf(tenant));
    if (group.ids.length < MOST_IDS) group.ids.push(tenant.id);
  }

  /** What was found, for the report. */
  list(): GrownTool[] {
    return [...this.#grown.values()].map(({ ids: unordered, flags, ...group }) => {
      const ids = unordered.toSorted(compareIds);
      const few = group.count === ids.length;
      return {
        ...group,
        tenants: group.tenants.toSorted((a, b) => compareIds(a.id, b.id)),
        remedy: few
          ? hintForAll(['mpm-migrate baseline --tenant {tenant}', flags, '--write'].join(' '), ids)
          : ['mpm-migrate baseline --all', flags, '--write'].join(' '),
      };
    });
  }
}

/** Undefined where it says that something failed half-way: that is no longer what was taken over, either. */
function historyIn(tool: ToolName, copied: string): AppliedElsewhere[] | undefined {
  try {
    return parseAgain(tool, copied);
  } catch {
    return undefined;
  }
}

/** In a sentence, without the remedy. */
export function grownText({ tool, applied, since, count, tenants }: GrownTool): string {
  const names = tenants.map(({ name, database, id }) => name || database || id).join(', ');
  const where = count === tenants.length ? names : `${names} and ${count - tenants.length} more`;
  const what = applied ? `${tool} has applied ${applied}` : `${tool}'s table has changed`;
  return `${what} at ${where} since ${since.slice(0, 10)}: two tools migrate the same tenants`;
}
