import { setTimeout as sleep } from 'node:timers/promises';
import { withCentral } from '../../src/central/central.ts';
import { referencePrefix } from '../../src/tenants/create/reference.ts';
import type { TestDatabases } from './database.ts';
import type { TestFleet } from './fleet.ts';

/** A migration that waits as long as there is this role, in the databases that verify builds. */
export function waitInReference(role: string): string {
  return `do $$ begin
  while current_database() like 'mpm_verify_%' and exists (select from pg_roles where rolname = '${role}') loop
    perform pg_sleep(0.02);
  end loop;
end $$;`;
}

/** The databases that a fleet's verify has built, and not dropped. */
export async function referencesOf(databases: TestDatabases, { config }: TestFleet): Promise<string[]> {
  const prefix = await withCentral(config, async ({ config: known }) => referencePrefix(known));
  const rows = await databases.query<{ name: string }>(
    `select datname::text as name from pg_database where starts_with(datname, '${prefix}')`,
  );
  return rows.map(({ name }) => name);
}

/** Until one waits that is not among these. */
export async function referenceWaits(
  databases: TestDatabases,
  fleet: TestFleet,
  old: readonly string[] = [],
): Promise<void> {
  for (;;) {
    const there = (await referencesOf(databases, fleet)).filter((name) => !old.includes(name));
    const waiting = await databases.query<{ name: string }>(
      "select datname::text as name from pg_stat_activity where wait_event = 'PgSleep'",
    );
    if (waiting.some(({ name }) => there.includes(name))) return;
    await sleep(20);
  }
}
