import { MpmError } from '../../errors.ts';
import { literal } from '../../postgres/quote.ts';
import { isServerError, SQLSTATE } from '../../postgres/sqlstate.ts';
import { idWord } from '../../shell-word.ts';
import type { Listing } from './listing.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { registerError } from './registry.ts';
import type { Tenant } from './tenant.ts';
import { streamTenants } from './tenants.ts';

/** How the reason of a tenant on hold begins whose database is being dropped. */
export const BEING_DROPPED = 'being dropped';

/** The tenant as it is now. @throws MpmError UNKNOWN_TENANT */
export async function readTenant(listing: Listing, id: string): Promise<Tenant> {
  for await (const tenant of streamTenants(listing, { ids: [id] })) return tenant;
  throw new MpmError('UNKNOWN_TENANT', `Unknown tenant "${id}" any more`, {
    subject: id,
    hint: 'mpm-migrate tenant list',
  });
}

/**
 * Changes a tenant's status if it is still one of `from`.
 * @throws MpmError TENANT_STATUS
 */
export async function changeStatus(
  { connection }: Listing,
  { id, name }: Pick<Tenant, 'id' | 'name'>,
  { from, to, reason }: { from: readonly string[]; to: string; reason: string | null },
): Promise<void> {
  const rows = await connection.application.query(
    `update public.company_databases set status = ${literal(to)}, reason = ${literal(reason)}, updated_at = now()
where company_id = ${literal(id)} and coalesce(status::text, 'active') in (${from.map(literal).join(', ')}) returning company_id`,
  );
  if (rows.length) return;
  throw new MpmError(
    'TENANT_STATUS',
    `${name} (${id}) is not ${from.map((status) => (status === 'hold' ? 'on hold' : status)).join(' or ')}`,
    {
      subject: name,
      hint: `To see its state: mpm-migrate tenant show ${idWord(id)}`,
    },
  );
}

/** Renames the company. @throws MpmError TENANT_EXISTS, BUSY */
export async function changeName(listing: Listing, id: string, name: string): Promise<void> {
  const { connection } = listing;
  try {
    const [found] = await oneAtATime(listing, [
      `select id::text as id from public.companies where name = ${literal(name)} and id::text <> ${literal(id)} limit 1`,
    ]);
    const same = found?.rows[0] as { id: string } | undefined;
    if (same) {
      throw new MpmError('TENANT_EXISTS', `tenant ${same.id} is already called "${name}"`, {
        subject: name,
        hint: 'Choose a different name.',
      });
    }
    await connection.application.send(
      `update public.companies set name = ${literal(name)}, updated_at = now() where id = ${literal(id)};\ncommit`,
    );
  } catch (error) {
    if (!connection.lost) await connection.query('rollback');
    throw registerError(error, { name });
  }
}

export async function changeLabels(
  { connection }: Listing,
  id: string,
  { set, remove }: { set: Readonly<Record<string, string>>; remove: readonly string[] },
): Promise<void> {
  const without = `array[${remove.map(literal).join(', ')}]::text[]`;
  await connection.application.query(
    `update public.company_databases set labels = (coalesce(labels::jsonb, '{}') - ${without}) || ${literal(JSON.stringify(set))}::jsonb, updated_at = now()
where company_id = ${literal(id)}`,
  );
}

/** @throws MpmError DATABASE_EXISTS when another tenant has this place */
export async function changePlace(
  { connection }: Listing,
  { id, name }: Pick<Tenant, 'id' | 'name'>,
  { server, database, oid }: Pick<Tenant, 'server' | 'database'> & { oid: string },
): Promise<void> {
  try {
    await connection.application.query(
      `update public.company_databases set server = ${literal(server)}, database_name = ${literal(database)}, database_oid = ${literal(oid)}, updated_at = now()
where company_id = ${literal(id)}`,
    );
  } catch (error) {
    throw registerError(error, { name });
  }
}

/**
 * Takes a tenant's rows out, together with `meanwhile` or not at all.
 * @throws MpmError CENTRAL_INVALID when other rows need the company, before `meanwhile`; and what that throws
 */
export async function removeTenant(
  { connection }: Listing,
  { id, name }: Pick<Tenant, 'id' | 'name'>,
  meanwhile: () => Promise<void>,
): Promise<void> {
  try {
    await connection.application.query(`begin;
set local idle_in_transaction_session_timeout = 0;
delete from public.company_plugins where company_id = ${literal(id)};
delete from public.company_databases where company_id = ${literal(id)};
delete from public.companies where id = ${literal(id)};
delete from mpm_migrate.tool_histories where tenant_id = ${literal(id)};
set constraints all immediate`);
    await meanwhile();
    await connection.query('commit');
  } catch (error) {
    if (!connection.lost) await connection.query('rollback');
    if (!isServerError(error) || error.code !== SQLSTATE.foreignKeyViolation) throw error;
    throw new MpmError(
      'CENTRAL_INVALID',
      `${name} (${id}) is needed by other rows: ${error.detail ?? error.message}`,
      {
        subject: name,
        cause: error,
        hint: 'Delete those rows of yours first.',
      },
    );
  }
}
