import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import type { Place } from '../postgres/slots.ts';

/** Where the sessions of a tenant go. Its key holds the tenant too: two of them never share a connection. */
export function placeOf({ id, name, database, server }: Tenant, config: Config): Place {
  return {
    key: `${id}\n${server}\n${database}`,
    server,
    target: {
      url: config.servers[server]?.url ?? '',
      database,
      applicationName: `mpm-migrate/session/${id}`,
      connectTimeout: config.pace.connectTimeout,
    },
    verify: (connection) => verify(connection, name || id),
  };
}

/** A pooler may map a name to another database, and a server be known under two names. */
async function verify(connection: Connection, subject: string): Promise<void> {
  const [found] = await connection.query<{ database: string; central: boolean }>(
    "select pg_catalog.current_database()::text as database, pg_catalog.to_regclass('mpm_migrate.runs') is not null as central",
  );
  if (found?.database !== connection.database) {
    throw new MpmError(
      'WRONG_DATABASE',
      `connected to "${found?.database}" where "${connection.database}" was meant`,
      { subject, hint: 'A pooler maps this name to another database: mend the pooler.' },
    );
  }
  if (!found.central) return;
  throw new MpmError('WRONG_DATABASE', `"${found.database}" is a central database, not a tenant's`, {
    subject,
    hint: "Mend the tenant's row: mpm-migrate tenant show <id> prints it.",
  });
}
