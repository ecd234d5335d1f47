import { describe, expect, test } from 'vitest';
import { up } from '../../src/fleet/verbs/up.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();
const IMPORT = `import { sql, type Kysely } from 'kysely';\n`;

describe('engine 58: modules are shared by all lanes', () => {
  test('what one keeps between calls is no other tenant’s', async () => {
    const fleet = await makeFleet(databases, {
      count: 6,
      files: {
        'core/1_whoami.ts': `${IMPORT}let name = '';
export async function up(db: Kysely<any>) {
  name = (await sql<{ d: string }>\`select current_database() as d\`.execute(db)).rows[0]!.d;
  await sql\`create table whoami(d text)\`.execute(db);
  await sql\`insert into whoami values (\${name})\`.execute(db);
}`,
        'lib/table.ts': `let db: any;
export const use = (d: any) => { db = d; };
export const make = (name: string) => db.schema.createTable(name).execute();`,
        'core/2_two.ts': `import { make, use } from '../lib/table';
export async function up(db: any) { use(db); await make('one'); await make('two'); }`,
        'core/3_outside.ts': `${IMPORT}export const config = { transaction: false, serial: true };
const running = ((globalThis as any)['mpm test running'] ??= { now: 0, most: 0 });
export async function up(db: Kysely<any>) {
  running.now += 1;
  running.most = Math.max(running.most, running.now);
  await sql\`select pg_sleep(0.05)\`.execute(db);
  running.now -= 1;
}`,
      },
    });
    const report = await up(fleet.config, { all: true }, { concurrency: 6 });
    expect(report.failures).toEqual([]);
    expect(report.counts).toMatchObject({ migrated: 6 });
    expect(report.notices).toEqual(
      expect.arrayContaining([
        '1_whoami runs for one tenant at a time: it keeps "name" between calls (1_whoami.ts) (6 tenants)',
        '2_two runs for one tenant at a time: it keeps "db" between calls (table.ts) (6 tenants)',
      ]),
    );
    for (const tenant of fleet.tenants) {
      expect(await fleet.of(tenant, 'select d from whoami')).toEqual([{ d: tenant.database }]);
      expect(
        await fleet.of(
          tenant,
          "select to_regclass('one') is not null and to_regclass('two') is not null as both",
        ),
      ).toEqual([{ both: true }]);
    }
    expect((globalThis as Record<string, unknown>)['mpm test running']).toEqual({ now: 0, most: 1 });
  });

  test('a statement on another tenant’s handle is refused, and fails both', async () => {
    const fleet = await makeFleet(databases, {
      count: 2,
      files: {
        // The first to come waits for the second one, which uses the handle of the first.
        'core/1_x.ts': `${IMPORT}const kept: any = ((globalThis as any)['mpm test kept'] = {});
export async function up(db: Kysely<any>) {
  if (kept.db) {
    try {
      await kept.db.schema.createTable('stray').execute();
    } finally {
      kept.done();
    }
    return;
  }
  const waited = new Promise((done) => { kept.done = done; });
  kept.db = db;
  await waited;
}`,
      },
    });
    const report = await up(fleet.config, { all: true }, { concurrency: 2 });
    expect(report.counts).toMatchObject({ failed: 2 });
    expect(report.failures).toMatchObject([
      { error: { message: 'a statement of 1_x was sent on the handle that 1_x was given for another call' } },
    ]);
    for (const tenant of fleet.tenants) {
      expect(await fleet.historyOf(tenant)).toEqual([]);
      expect(await fleet.of(tenant, "select to_regclass('stray') as stray")).toEqual([{ stray: null }]);
    }
  });
});
