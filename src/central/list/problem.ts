import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { describeUrl } from '../../postgres/connect.ts';
import { databaseNameProblem } from '../../postgres/database.ts';
import type { Tenant } from './tenant.ts';

/**
 * What makes a tenant's row unusable, with the remedy; undefined when it is fine. A problem of this one tenant:
 * the others go on. Status is no problem of the row.
 */
export function tenantProblem(tenant: Tenant, config: Config): MpmError | undefined {
  const { id, name, database, server } = tenant;
  const options = { subject: name || id };
  if (tenant.clash?.kind === 'id') {
    return new MpmError('CENTRAL_INVALID', `the list of tenants has the id ${id} more than once`, {
      ...options,
      hint: `Give each its own ID, or fix ${'query' in config.tenants ? 'tenants.query' : 'its rows'}.`,
    });
  }
  if (!database) {
    return new MpmError('DATABASE_NAME', `${nameOf(tenant)} has no database in the central database`, {
      ...options,
      hint: 'Set its database in the row, or remove the company.',
    });
  }
  if (!Object.hasOwn(config.servers, server)) {
    const known = Object.keys(config.servers).join(', ');
    return new MpmError(
      'UNKNOWN_SERVER',
      `${nameOf(tenant)} is on server "${server}", which is not configured`,
      {
        ...options,
        hint: `Add it to "servers" in the configuration, or fix the row. Configured servers: ${known}.`,
      },
    );
  }
  if (isCentral(tenant, config)) {
    return new MpmError('WRONG_DATABASE', `${nameOf(tenant)} points at the central database "${database}"`, {
      ...options,
      hint: 'A tenant needs its own database: fix the row. To migrate the central database: mpm-migrate central up',
    });
  }
  const badName = databaseNameProblem(database);
  if (badName) {
    return new MpmError(
      'DATABASE_NAME',
      `${nameOf(tenant)} cannot have the database ${JSON.stringify(database)}: ${badName}`,
      {
        ...options,
        hint: "Fix the row's database name.",
      },
    );
  }
  if (tenant.clash) {
    return new MpmError(
      'CENTRAL_INVALID',
      `${nameOf(tenant)} has the same database as tenant ${tenant.clash.with}: "${database}"`,
      {
        ...options,
        hint: 'Each tenant needs its own database: fix one of the two rows.',
      },
    );
  }
  return undefined;
}

function nameOf({ id, name }: Tenant): string {
  return name ? `${name} (${id})` : `tenant ${id}`;
}

/** By name and place; a central database behind another host name is noticed once connected. */
function isCentral({ database, server }: Tenant, config: Config): boolean {
  const central = describeUrl(config.central.url);
  if (database !== central.database) return false;
  const url = config.servers[server]?.url;
  if (url === undefined || server === 'default') return true;
  const place = describeUrl(url);
  return nearness(place.host) === nearness(central.host) && place.port === central.port;
}

/** This machine has several names. */
function nearness(host: string): string {
  return /^(localhost|127\.|::1|\/)/.test(host) ? 'localhost' : host;
}
