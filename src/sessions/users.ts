import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { identifier } from '../postgres/quote.ts';
import { databaseFields, isServerError } from '../postgres/sqlstate.ts';
import { type Listing, tableName } from '../central/list/listing.ts';

/**
 * The id of the tenant to which a user belongs, by e-mail address without regard to case.
 * @throws MpmError UNKNOWN_USER; CENTRAL_INVALID when it is mapped to two tenants, or the table cannot be read
 */
export async function findTenantOfUser({ connection, config }: Listing, email: string): Promise<string> {
  const address = email.trim();
  // The server takes no NUL, so nobody's address holds one.
  if (address.includes('\0')) throw unknownUser(address);
  const rows = await connection.application
    .prepared<Record<string, unknown>>(selectTenant(config), [address])
    .catch((error: unknown) => {
      throw usersError(error);
    });
  const ids = [
    ...new Set(
      rows
        .map((row) => Object.values(row)[0])
        .filter(isId)
        .map(String),
    ),
  ];
  const [id] = ids;
  if (id === undefined) throw unknownUser(address);
  if (ids.length > 1) {
    throw new MpmError(
      'CENTRAL_INVALID',
      `the user ${JSON.stringify(address)} belongs to ${ids.length} tenants`,
      {
        subject: address,
        hint: `A user belongs to one tenant: fix the rows of tenants ${ids.slice(0, 5).join(', ')}.`,
      },
    );
  }
  return id;
}

function unknownUser(address: string): MpmError {
  return new MpmError('UNKNOWN_USER', `no tenant has a user ${JSON.stringify(address)}`, {
    subject: address,
    hint: 'Tell people who log in that the address or password is wrong.',
  });
}

function isId(value: unknown): boolean {
  return value !== null && value !== undefined;
}

function selectTenant({ tenants, users }: Config): string {
  if (users && 'query' in users) return users.query;
  if (users) {
    const { email, tenant } = users.columns;
    return `select u.${identifier(tenant)}::text as tenant from ${tableName(users.table)} u where lower(u.${identifier(email)}::text) = lower($1)`;
  }
  if ('builtIn' in tenants) {
    return 'select u.fk_company_id::text as tenant from public.database_proxies u where lower(u.email) = lower($1)';
  }
  throw new MpmError('CONFIG_INVALID', 'users: is missing', {
    subject: 'users',
    hint: 'Set the table that maps email addresses to tenants: users: { table, columns: { email, tenant } }, or { query }.',
  });
}

function usersError(error: unknown): unknown {
  if (!isServerError(error) || !/^(42|22)/.test(error.code)) return error;
  return new MpmError('CENTRAL_INVALID', `can't read the table of users: ${error.message}`, {
    subject: 'users',
    cause: error,
    database: databaseFields(error),
    hint: 'Check "users" in the configuration. A query returns the tenant\'s ID in one column, and $1 is the address.',
  });
}
