import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { decideAdoption, leftOut } from '../../dialects/adopt.ts';
import { hasHeads } from '../../dialects/other-tools.ts';
import { readTool } from '../../dialects/read-tool.ts';
import type { ToolName } from '../../dialects/tool-names.ts';
import type { Migration } from '../../engine/migration.ts';
import { isDeferred } from '../../engine/plan.ts';
import { listNames } from '../../engine/remedy.ts';
import { decideBaseline, decideNothing, isNothing } from '../../engine/edit/decide.ts';
import { type KnownTool, rememberTool } from '../../central/tools.ts';
import { serialize } from '../schedule/serialize.ts';
import { knownToolOf } from '../tool-watch.ts';
import { readFleetFiles } from '../files.ts';
import type { EditReport } from '../report/edit-report.ts';
import { editHistories, type EditOptions, type EditVerb } from '../edit-histories.ts';
import { ToolHeads } from '../tool-heads.ts';
import type { Selection } from '../select.ts';

export interface BaselineOptions extends EditOptions {
  /** Record every migration up to this one: a name or a version. `0`: that none was applied. */
  to?: string;
  /** Record what this tool's own table says is applied. */
  from?: ToolName;
  /** That table, when it is not called as the tool calls it: `name` or `schema.name`. */
  table?: string;
}

/**
 * Records migrations as applied without running them (engine 24); twice is a no-op. Without `write` it only shows
 * what it would record.
 * @throws MpmError USAGE without exactly one of `to` and `from`, or when nothing is called `to`; and as `up`
 */
export async function baseline(
  config: Config,
  selection: Selection,
  { to, from, table, ...options }: BaselineOptions,
): Promise<EditReport> {
  checkOptions(to, from, table);
  const { order } = config.migrations;
  const nothing = to !== undefined && isNothing(to);
  const { to: last = '', ...files } = await readFleetFiles(config, nothing ? undefined : to);
  const known = new Map<string, Omit<KnownTool, 'since'>>();
  const heads =
    from !== undefined && hasHeads(from)
      ? await readHeads(config, selection, { from, table }, files, options)
      : undefined;
  return editHistories(
    config,
    {
      name: 'baseline',
      selection,
      files,
      async decide({ migrations, rows, connection, found, tenant, released, notice }) {
        // It may still be there what they take away; the one that is named is meant.
        const isLeft = (migration: Migration): boolean =>
          migration.name !== last && isDeferred(migration, { released });
        const deferred = migrations.filter(isLeft).map(({ name }) => name);
        if (from !== undefined) {
          const history = await readTool(connection, from, table);
          heads?.require(history, tenant);
          const changes = heads
            ? decideBaseline(migrations, rows, last, order, isLeft)
            : decideAdoption(migrations, rows, history.applied, from, order);
          const without = heads ? [] : leftOut(migrations, rows, changes);
          if (without.length) notice(leftOutText(from, without));
          known.set(tenant.id, knownToolOf(history, migrations));
          return changes;
        }
        if (nothing) return decideNothing(rows, found);
        const changes = decideBaseline(migrations, rows, last, order, isLeft);
        if (deferred.length) notice(`${listNames(deferred)}: deferred (phase:contract), and not recorded`);
        if (changes.length && !found.bootstrapped && found.objects.length === 0)
          notice('its database is empty: a baseline says that the schema is there already');
        return changes;
      },
      async written({ id }, central) {
        const tool = known.get(id);
        known.delete(id);
        if (tool) await serialize(central, () => rememberTool(central, id, tool));
      },
    },
    options,
  );
}

/** Looks at all of the selection before anything is written. @throws MpmError ADOPTION unless all are at one head */
async function readHeads(
  config: Config,
  selection: Selection,
  { from, table }: { from: ToolName; table: string | undefined },
  files: EditVerb['files'],
  { concurrency, signal }: EditOptions,
): Promise<ToolHeads> {
  const heads = new ToolHeads(from);
  await editHistories(
    config,
    {
      name: 'baseline',
      selection,
      files,
      async decide({ connection, tenant }) {
        heads.add(await readTool(connection, from, table), tenant);
        return [];
      },
    },
    { ...(concurrency === undefined ? {} : { concurrency }), ...(signal && { signal }) },
  );
  heads.requireOne();
  return heads;
}

/** @throws MpmError USAGE */
function checkOptions(to: string | undefined, from: ToolName | undefined, table: string | undefined): void {
  if (table !== undefined && from === undefined) {
    throw new MpmError('USAGE', '--table requires --from', { hint: 'It is the table of that tool.' });
  }
  const heads = from !== undefined && hasHeads(from);
  if (heads && (to === undefined || isNothing(to))) {
    throw new MpmError('USAGE', `--from ${from} requires --to NAME`, {
      hint: `${from}'s migrations can't be matched with files. NAME: the last of yours that what ${from} made has.`,
    });
  }
  if (!heads && to !== undefined && from !== undefined) {
    throw new MpmError('USAGE', `--to can't be combined with --from ${from}`, {
      hint: `What ${from} has applied is in its table. Leave one of them out.`,
    });
  }
  if (to === undefined && from === undefined) {
    throw new MpmError('USAGE', 'a baseline needs --to, --from, or --snapshot', {
      hint: '--to NAME: the schema is what the migrations up to NAME make. --from TOOL: what that tool has applied. --snapshot TENANT: new tenants come from its schema.',
    });
  }
}

const SHOWN = 5;

function leftOutText(tool: ToolName, names: readonly string[]): string {
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
  const shown = names.slice(0, SHOWN).join(', ');
  return `not in ${tool}'s table, and before the last that is: ${shown}${more}; not recorded, so it stays pending, out of order`;
}
