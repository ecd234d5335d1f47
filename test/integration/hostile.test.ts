import { afterAll, beforeAll, expect, test } from 'vitest';
import { sql } from 'kysely';
import { Fleet } from '../../src/fleet/fleet.ts';
import type { ResolveOptions } from '../../src/fleet/verbs/resolve.ts';
import { sync } from '../../src/fleet/verbs/sync.ts';
import { showTenant } from '../../src/tenants/show.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';
import { hostile, SELECT_CALLS, squatted } from '../helpers/hostile.ts';

const databases = withDatabases();
const eve = `${databases.prefix}eve`;

beforeAll(() => databases.query(`create role ${eve} login password 'secret'`));
afterAll(async () => {
  const made = await databases.query<{ datname: string }>(
    `select datname from pg_database where datdba = '${eve}'::regrole or starts_with(datname, '${databases.prefix}')`,
  );
  for (const { datname } of made) {
    await databases.query(`alter database ${datname} owner to postgres; alter database ${datname} reset all`);
    await databases.query(`drop owned by ${eve} cascade`, datname);
  }
  await databases.query(`drop owned by ${eve}; drop role ${eve}`);
});

const FILES = {
  'core/1_meters.sql':
    '-- migrate:up\ncreate table public.meters (id int primary key);\n-- migrate:down\ndrop table public.meters;\n',
  'core/2_note.sql':
    '-- migrate:up\nalter table public.meters add note pg_catalog.text;\n-- migrate:down\nalter table public.meters drop note;\n',
  'core/3_index.sql':
    '-- migrate:up transaction:false\ncreate index concurrently meters_note on public.meters (id);\n-- migrate:down\ndrop index public.meters_note;\n',
  'core/4_module.mjs':
    "import { sql } from 'kysely';\nexport async function up(db) { await sql`create table public.modules (id int)`.execute(db); }\nexport async function down(db) { await sql`drop table public.modules`.execute(db); }\n",
};

/** One row, whatever the database's own settings. */
async function calls(database: string): Promise<{ sang: boolean; made: string }> {
  const [row] = await databases.query<{ sang: boolean; made: string }>(SELECT_CALLS, database);
  return row as { sang: boolean; made: string };
}

async function hostileFleet(count: number): Promise<{ fleet: TestFleet; own: Fleet }> {
  const fleet = await makeFleet(databases, { count, files: FILES });
  for (const { database } of fleet.tenants) await databases.query(hostile(database, eve), database);
  return { fleet, own: new Fleet({ ...fleet.config, templates: false }) };
}

test('engine 37: nothing of a hostile tenant is called by statements of ours', async () => {
  const { fleet, own: opened } = await hostileFleet(1);
  await using own = opened;
  const [tenant] = fleet.tenants;
  const database = tenant?.database ?? '';
  expect(Number((await calls(database)).made)).toBeGreaterThan(1000);
  const moveToOther = async () => {
    const other = await databases.clone(database);
    await databases.query('set role none; delete from evil.moody', other.name);
    return own.move('1', { database: other.name, disconnect: true }).catch(whatDiffers);
  };
  const whatDiffers = ({ code, message }: Error & { code?: string }) => ({
    counts: { [code ?? '']: message },
  });
  const all = { all: true } as const;
  const steps: [string, () => Promise<unknown>][] = [
    ['status', () => own.status(all, { deep: true })],
    ['plan', () => own.plan(all, { impact: true })],
    ['baseline', () => own.baseline(all, { to: '1_meters' })],
    ['baseline --from', () => own.baseline(all, { from: 'kysely' })],
    ['up refuses', () => own.up(all)],
    ['baseline --write', () => own.baseline(all, { to: '1_meters', write: true })],
    ['rehearse', () => own.rehearse(all, { modules: true })],
    ['up', () => own.up(all)],
    ['up again', () => own.up(all)],
    ['down', () => own.down(all, { steps: 3 })],
    ['up once more', () => own.up(all)],
    ['repair', () => own.repair(all, { changed: true, write: true } as never)],
    ['exec', () => own.exec(all, 'select 1')],
    ['exec --write', () => own.exec(all, 'create table public.executed ()', { write: true })],
    ['doctor', () => own.doctor()],
    ['connect', () => own.connect('1', { atLeast: '2_note' }).then((db) => db.destroy())],
    ['hold', () => own.hold('1', { reason: 'why not' })],
    ['move', moveToOther],
    ['release', () => own.release('1')],
    ['clone', () => own.clone('1', { name: 'copy', database: `${databases.prefix}copy` })],
    ['rename', () => own.rename('1', 'Evil Ltd')],
    ['drop', () => own.drop('copy', { confirm: 'copy' })],
    ['fresh', () => own.fresh('1', { confirm: database })],
  ];
  databases.adopt(`${databases.prefix}copy`);
  const outcomes: Record<string, string> = {};
  for (const [name, step] of steps) {
    if (name === 'rehearse')
      await fleet.of(tenant, 'set role none; create table public.meters (id int primary key)');
    if (name === 'fresh') {
      expect(await calls(database), 'before fresh').toMatchObject({ sang: false });
    }
    outcomes[name] = await step().then(
      (report) => JSON.stringify((report as { counts?: unknown } | undefined)?.counts ?? 'done'),
      (error: Error & { code?: string }) => `${error.code}: ${error.message}`,
    );
    if (name !== 'fresh')
      expect(await calls(database), `${name}: ${outcomes[name]}`).toMatchObject({ sang: false });
  }
  const failed = Object.entries(outcomes).filter(([, outcome]) => !/^["{]/.test(outcome));
  expect(Object.fromEntries(failed)).toEqual({});
  expect(outcomes['up once more']).toContain('"migrated":1');
  expect(outcomes['move']).toContain('evil.moody has 0 instead of 1');
});

test('engine 37: nor by plugins, resolve, adopt, show, --fast, a session, and what follows a failure', async () => {
  const { fleet, own: opened } = await hostileFleet(2);
  await using own = opened;
  const [tenant, stranger] = fleet.tenants;
  const database = tenant?.database ?? '';
  const one = { tenants: ['1'] };
  await fleet.write({
    'plugins/sms/6_sms.sql':
      '-- migrate:up\ncreate table public.sms (id int);\n-- migrate:down\ndrop table public.sms;\n',
  });
  await fleet.central(
    'delete from company_databases where company_id = 2; delete from companies where id = 2',
  );
  /** A migration of that number that stops half-way, and what is then decided. */
  const resolving = async (number: number, as: ResolveOptions['as']) => {
    await fleet.write({
      [`core/${number}_half.sql`]: `-- migrate:up transaction:false\ncreate table public.half${number} (id int);\ncreate index concurrently half${number}_i on public.half${number} (nothing);\n`,
    });
    expect((await own.up(one)).counts).toMatchObject({ failed: 1 });
    await own.resolveMigration(`${number}_half`, { tenant: '1', as });
    const mended = as === 'rolled-back' ? 'drop table' : 'alter table if exists';
    await fleet.of(
      tenant,
      `set role none; ${mended} public.half${number} ${as === 'rolled-back' ? '' : 'add nothing int'}`,
    );
    if (as === 'rolled-back') return;
    await own.up(one, { force: true });
  };
  const adopted = () => own.adopt({ name: 'Adopted', database: stranger?.database ?? '' });
  const steps: [string, () => Promise<unknown>][] = [
    ['baseline', () => own.baseline(one, { to: '0', write: true })],
    ['up', () => own.up(one)],
    ['up --fast', () => own.up(one, { fast: true })],
    ['status', () => own.status(one)],
    ['status --matrix', () => own.status({ all: true }, { matrix: true })],
    ['plan', () => own.plan(one, { sql: true } as never)],
    ['show', () => showTenant(fleet.config, '1')],
    ['label', () => own.label('1', { tier: 'gold' })],
    ['plugin add', () => own.addPlugin('sms')],
    ['plugin install', () => own.installPlugin('sms', one)],
    ['plugin list', () => own.plugins({ tenant: '1' })],
    ['plugin uninstall --keep', () => own.uninstallPlugin('sms', one, { keep: true } as never)],
    ['plugin install again', () => own.installPlugin('sms', one)],
    ['plugin uninstall --down', () => own.uninstallPlugin('sms', one, { down: true })],
    ['session', () => own.run('1', async ({ db }) => void (await sql`select 1`.execute(db)))],
    ['exec fails', () => own.exec(one, 'select * from public.nothing')],
    ['resolve --retry', () => resolving(11, 'retry')],
    ['resolve --skip', () => resolving(12, 'skip')],
    ['resolve --applied', () => resolving(13, 'applied')],
    ['resolve --rolled-back', () => resolving(14, 'rolled-back')],
    ['repair --stamp', () => own.repair(one, { stamp: true, write: true } as never)],
    ['adopt', adopted],
    ['sync', () => sync(fleet.config, one)],
  ];
  const outcomes: string[] = [];
  for (const [name, step] of steps) {
    const outcome = await step().then(
      () => 'done',
      (error: Error & { code?: string }) => `${error.code}: ${error.message}`,
    );
    outcomes.push(`${name}: ${outcome}`);
    for (const each of [database, stranger?.database ?? ''])
      expect(await calls(each), `${name}: ${outcome}`).toMatchObject({ sang: false });
  }
  expect(outcomes.filter((outcome) => !outcome.endsWith(': done'))).toEqual([]);
});

test('engine 37: a squatted history is refused, and nothing in it is called', async () => {
  const { fleet, own: opened } = await hostileFleet(1);
  await using own = opened;
  const [tenant] = fleet.tenants;
  const database = tenant?.database ?? '';
  await databases.query(squatted(eve), database);
  const all = { all: true } as const;
  for (const [nr, step] of [
    () => own.status(all, { deep: true }),
    () => own.plan(all),
    () => own.up(all),
    () => own.down(all),
    () => own.baseline(all, { to: '1_meters', write: true }),
    () => own.connect('1', { atLeast: '1_meters' }),
    () => own.doctor(),
    () => own.exec(all, 'select 1'),
  ].entries()) {
    await step().catch(() => undefined);
    expect(await calls(database), `step ${nr}`).toMatchObject({ sang: false });
  }
});
