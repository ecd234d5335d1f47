import type { Central } from '../central/central.ts';
import { resolveFilter } from '../central/list/resolve.ts';
import { lastThatLeft } from '../central/runs.ts';
import { countTenants, streamTenants, type TenantFilter } from '../central/list/tenants.ts';
import { idWord } from '../shell-word.ts';
import { filterOf, type Selection, selectsByName } from './select.ts';
import { serialize } from './schedule/serialize.ts';

/**
 * What is wrong with a selection that comes to nobody, before `--shard` takes its slice: it names a label that nobody
 * has, or, where `held` counts, tenants that are all on hold; or the last run of `verb` left nobody, but an earlier one
 * did. Undefined: nothing; so too where there is no tenant.
 * @param how.flag with which the verb takes who is on hold
 */
export async function unmetBy(
  central: Central,
  selection: Selection,
  { none, held, verb, flag }: { none: boolean; held: boolean; verb?: string; flag?: '--include-held' },
): Promise<string | undefined> {
  if (none && selection.failed === 'last' && verb !== undefined) return leftBefore(central, verb);
  const labels = Object.entries(selection.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  const named = selectsByName(selection);
  if (!(none && labels.length) && !(held && named)) return undefined;
  return serialize(central, async () => {
    const count = async (filter: TenantFilter): Promise<number> => {
      const servers = await countTenants(central, filter);
      return servers.reduce((sum, server) => sum + server.count, 0);
    };
    const { shard: _, ...whole } = await resolveFilter(central, filterOf(selection));
    const all = await count(whole);
    if (all === 0) {
      if (labels.length === 0 || (await count({})) === 0) return undefined;
      return `no tenant${named ? ' of those that were named' : ''} has the label ${labels.join(' and ')}`;
    }
    const onHold: TenantFilter = { ...whole, status: 'hold' };
    if (!(held && named) || (await count(onHold)) !== all) return undefined;
    const first = await streamTenants(central, onHold).next();
    const release = `mpm-migrate tenant release ${first.done ? 'ID' : idWord(first.value.id)}`;
    const ways = [`release ${all === 1 ? 'it' : 'each'} (${release})`, flag && `add ${flag}`];
    return `all named tenants are on hold: ${ways.filter(Boolean).join(', or ')}`;
  });
}

async function leftBefore(central: Central, verb: string): Promise<string | undefined> {
  return serialize(central, async () => {
    const run = await lastThatLeft(central, verb);
    const servers = run === undefined ? [] : await countTenants(central, { leftBy: { run } });
    const count = servers.reduce((sum, server) => sum + server.count, 0);
    if (count === 0) return undefined;
    return `the last run left nobody, but run ${run} left ${count === 1 ? '1 tenant' : `${count} tenants`}: mpm-migrate ${verb} --failed=${run}`;
  });
}
