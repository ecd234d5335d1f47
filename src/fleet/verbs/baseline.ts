import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { decideAdoption } from '../../dialects/adopt.ts';
import { decideBaseline, decideNothing, isNothing } from '../../engine/edit/decide.ts';
import { readTool, type ToolName } from '../../dialects/other-tools.ts';
import { type KnownTool, rememberTool } from '../../central/tools.ts';
import { serialize } from '../schedule/serialize.ts';
import { knownToolOf } from '../tool-watch.ts';
import { readFleetFiles } from '../files.ts';
import type { EditReport } from '../report/edit-report.ts';
import { editHistories, type EditOptions } from '../edit-histories.ts';
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
  if ((to === undefined) === (from === undefined)) {
    throw new MpmError('USAGE', 'a baseline needs --to, --from, or --snapshot', {
      hint: '--to NAME: the schema is what the migrations up to NAME make. --from TOOL: what that tool has applied. --snapshot TENANT: new tenants come from its schema.',
    });
  }
  if (table !== undefined && from === undefined) {
    throw new MpmError('USAGE', '--table requires --from', { hint: 'It is the table of that tool.' });
  }
  const { order } = config.migrations;
  const nothing = to !== undefined && isNothing(to);
  const { to: last = '', ...files } = await readFleetFiles(config, nothing ? undefined : to);
  const known = new Map<string, Omit<KnownTool, 'since'>>();
  return editHistories(
    config,
    {
      name: 'baseline',
      selection,
      files,
      async decide({ migrations, rows, connection, found, tenant, notice }) {
        if (from !== undefined) {
          const history = await readTool(connection, from, table);
          const changes = decideAdoption(migrations, rows, history.applied, from, order);
          known.set(tenant.id, knownToolOf(history, migrations));
          return changes;
        }
        if (nothing) return decideNothing(rows, found);
        const changes = decideBaseline(migrations, rows, last, order);
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
