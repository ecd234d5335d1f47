import { onTestFinished } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import type { TestDatabases } from './database.ts';
import { makeFleet, type TestFleet } from './fleet.ts';

/** A fleet of tenants with a table each, which says whose it is; opened, and closed when the test ends. */
export async function openSessions(
  databases: TestDatabases,
  {
    count = 3,
    sessions = {},
    more = {},
  }: { count?: number; sessions?: Partial<Config['sessions']>; more?: Partial<Config> } = {},
): Promise<{ made: TestFleet; fleet: Fleet }> {
  const made = await makeFleet(databases, { count, more });
  for (const tenant of made.tenants) {
    await made.of(tenant, `create table owner as select ${tenant.id}::int as id`);
  }
  const { config } = made;
  const fleet = new Fleet({ ...config, sessions: { ...config.sessions, ...sessions } });
  onTestFinished(() => fleet.close());
  return { made, fleet };
}

export interface Owned {
  owner: { id: number };
}
