import { withCentral } from '../central/central.ts';
import { readTenant } from '../central/list/change.ts';
import { beginAgain, markActive } from '../central/list/provisioning.ts';
import type { Tenant } from '../central/list/tenant.ts';
import type { Config } from '../config/define.ts';
import { asMpmError, MpmError } from '../errors.ts';
import { dropDatabase, findDatabases } from '../postgres/database.ts';
import { idWord } from '../shell-word.ts';
import type { ProvisionOptions, ProvisionReport } from './create/creation.ts';
import { refuseSessions } from './in-use.ts';
import { withTenantLock } from './lock.ts';
import { resumeProvision } from './create/provision.ts';
import { refuseSharedDatabase } from './same-database.ts';
import { withServer } from './server.ts';

/**
 * Drops a tenant's database and makes it again, migrated. Its row says `provisioning` from before the drop to the
 * end, with the oid of the old database: after a kill at any moment `tenant create --resume` goes on, and what was
 * not dropped yet is kept.
 * @throws MpmError before anything is done: TENANT_STATUS, DATABASE_IN_USE, BUSY, DATABASE_MISSING; afterwards as
 *   `resumeProvision`
 */
export async function makeAnew(
  config: Config,
  tenant: Tenant,
  { disconnect = false, ...options }: ProvisionOptions & { disconnect?: boolean },
): Promise<ProvisionReport> {
  const { id, database, server } = tenant;
  await withTenantLock(config, id, async () => {
    await refuseSharedDatabase(config, tenant);
    await withServer(config, server, async (connection) => {
      const [there] = await findDatabases(connection, [database]);
      if (!there) {
        throw new MpmError(
          'DATABASE_MISSING',
          `the database "${database}" does not exist on server "${server}"`,
          {
            subject: tenant.name || id,
            hint: `Look: mpm-migrate tenant show ${idWord(id)}`,
          },
        );
      }
      if (!disconnect) await refuseSessions(connection, database);
      const begun = await withCentral(config, (central) => beginAgain(central, tenant, there.oid));
      if (!begun) throw await changedSince(config, tenant);
      try {
        await dropDatabase(connection, database, { disconnect });
      } catch (error) {
        const left = connection.lost ? [] : await findDatabases(connection, [database]);
        // Not begun: the tenant is what it was.
        if (left[0]?.valid) await withCentral(config, (central) => markActive(central, id));
        const known = asMpmError(error);
        throw left[0]?.valid ? known.with({ aftermath: 'nothing was changed' }) : known;
      }
    });
  });
  return resumeProvision(config, id, options);
}

/** What has become of it since it was looked up, and its database's name given. */
async function changedSince(config: Config, { id, name }: Tenant): Promise<MpmError> {
  const now = await withCentral(config, (central) => readTenant(central, id));
  if (now.status !== 'active') return notActive(now);
  return new MpmError(
    'TENANT_STATUS',
    `${name || id} has moved meanwhile: to "${now.database}" on server "${now.server}"`,
    {
      subject: name || id,
      aftermath: 'nothing was changed',
      hint: `If that one is to be destroyed: mpm-migrate fresh --tenant ${idWord(id)}`,
    },
  );
}

/** Only an active tenant is begun again: a hold is somebody's word, and a half-made one has its own way on. */
export function notActive({ id, name, status, reason }: Tenant): MpmError {
  const half = status === 'provisioning' || status === 'failed';
  const hint = half
    ? `mpm-migrate tenant create --resume ${idWord(id)}`
    : status === 'hold'
      ? `mpm-migrate tenant release ${idWord(id)}`
      : `mpm-migrate tenant show ${idWord(id)}`;
  const why = reason ? ` (${reason})` : '';
  return new MpmError('TENANT_STATUS', `${name || id} is not active: ${status}${why}`, {
    subject: name || id,
    aftermath: 'nothing was changed',
    hint,
  });
}
