import { MpmError } from '../errors.ts';
import { literal } from '../postgres/quote.ts';
import { type Listing, listingError, listingOf } from './list/listing.ts';
import { Suggestions } from './list/resolve.ts';
import { oneAtATime } from './list/one-at-a-time.ts';

/** A plugin in the central database's list of installable ones. */
export interface InstallablePlugin {
  name: string;
  title: string | null;
}

/**
 * Only of the built-in list of companies do we know where a plugin is recorded.
 * @throws MpmError CENTRAL_INVALID when the configuration names another list
 */
export function requireOwnPlugins({ config }: Pick<Listing, 'config'>): void {
  if ('builtIn' in config.tenants) return;
  const where = 'query' in config.tenants ? 'tenants.query' : 'tenants.table';
  throw new MpmError(
    'CENTRAL_INVALID',
    `your product decides which tenant has which plugin: ${where} is set`,
    {
      subject: where,
      hint:
        'query' in config.tenants
          ? 'Let the query return a column "plugins", a JSON array of names; then: mpm-migrate up --all'
          : 'Use tenants.query, and let it return a column "plugins", a JSON array of names.',
    },
  );
}

/** In the order of names; none when the product lists its tenants itself. */
export async function listInstallable({ connection, config }: Listing): Promise<InstallablePlugin[]> {
  if (!('builtIn' in config.tenants)) return [];
  return connection.application.query<InstallablePlugin>(
    'select name::text as name, min(title) as title from public.plugins group by name order by name collate "C"',
  );
}

/** @throws MpmError UNKNOWN_PLUGIN with near names */
export async function requireInstallable(listing: Listing, name: string): Promise<void> {
  const known = await listInstallable(listing);
  if (known.some((plugin) => plugin.name === name)) return;
  const near = new Suggestions(name);
  for (const plugin of known) near.consider(plugin.name, [plugin.name]);
  throw new MpmError('UNKNOWN_PLUGIN', `Unknown plugin "${name}"`, {
    subject: name,
    hint: near.labels.length
      ? `Did you mean ${near.labels.join(', ')}?`
      : `To register it: mpm-migrate plugin add ${name}\nTo list registered plugins: mpm-migrate plugin list`,
  });
}

/** Makes a plugin installable, or gives it another title; false when it was so already. */
export async function addPlugin(listing: Listing, name: string, title: string | undefined): Promise<boolean> {
  const { connection } = listing;
  try {
    // An adopted table need not keep names apart by itself.
    const [changed] = await oneAtATime(listing, [
      `with changed as (
  update public.plugins set title = ${literal(title ?? null)}, updated_at = now()
  where name = ${literal(name)} and ${title === undefined ? 'false' : `title is distinct from ${literal(title)}`} returning id
), added as (
  insert into public.plugins (name, title) select ${literal(name)}, ${literal(title ?? null)}
  where not exists (select from public.plugins where name = ${literal(name)}) returning id
) select id from changed union all select id from added`,
      'commit',
    ]);
    return (changed?.rows.length ?? 0) > 0;
  } catch (error) {
    if (!connection.lost) await connection.query('rollback');
    throw error;
  }
}

/** How many tenants have each plugin, by name. */
export async function countInstalled(listing: Listing): Promise<Map<string, number>> {
  const text = `select p.name, count(distinct t.id)::int as count
from ${listingOf(listing.config.tenants)} t, jsonb_array_elements_text(t.plugins) as p(name) group by p.name`;
  try {
    const rows = await listing.connection.application.query<{ name: string; count: number }>(text);
    return new Map(rows.map(({ name, count }) => [name, count]));
  } catch (error) {
    throw await listingError(error, listing);
  }
}

/** Records that an active tenant has a plugin; false when it had it already, or is not active any more. */
export async function recordInstalled({ connection }: Listing, id: string, name: string): Promise<boolean> {
  const rows = await connection.application.query(`insert into public.company_plugins (company_id, plugin_id)
select c.id, (select min(p.id) from public.plugins p where p.name = ${literal(name)}) from public.companies c
where c.id = ${literal(id)}
  and coalesce((select d.status::text from public.company_databases d where d.company_id = c.id), 'active') = 'active'
  and not exists (select from public.company_plugins i
  join public.plugins p on p.id = i.plugin_id where i.company_id = c.id and p.name = ${literal(name)})
on conflict do nothing returning company_id`);
  return rows.length > 0;
}

/** Records that a tenant has a plugin no more; false when it did not have it. */
export async function recordUninstalled({ connection }: Listing, id: string, name: string): Promise<boolean> {
  const rows = await connection.application.query(`delete from public.company_plugins i using public.plugins p
where p.id = i.plugin_id and p.name = ${literal(name)} and i.company_id = ${literal(id)} returning i.company_id`);
  return rows.length > 0;
}

/** What a copy of a tenant depends on, as a text to be compared: which database it has, whole or not, and which plugins. */
export async function readOriginal({ connection }: Listing, id: string): Promise<string> {
  const [row] = await connection.application.query<{ state: string }>(`select pg_catalog.jsonb_build_array(
  d.server, d.database_name, d.database_oid, d.status in ('provisioning', 'failed'),
  (select pg_catalog.jsonb_agg(i.plugin_id order by i.plugin_id) from public.company_plugins i where i.company_id = d.company_id))::text as state
from public.company_databases d where d.company_id = ${literal(id)}`);
  return row?.state ?? '';
}

/** Gives a copy of a tenant the plugins of its original, whose tables it has. */
export async function copyInstalled({ connection }: Listing, from: string, to: string): Promise<void> {
  await connection.application.query(`insert into public.company_plugins (company_id, plugin_id)
select c.id, i.plugin_id from public.company_plugins i, public.companies c
where i.company_id = ${literal(from)} and c.id = ${literal(to)} on conflict do nothing`);
}
