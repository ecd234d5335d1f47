import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { MpmError } from '../../src/errors.ts';
import { exec } from '../../src/fleet/verbs/exec.ts';
import { plan } from '../../src/fleet/verbs/plan.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { adopt } from '../../src/tenants/adopt.ts';
import { hold, label, release } from '../../src/tenants/change.ts';
import { listTenants } from '../../src/tenants/show.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();

/** What a library user sees of it: all of it to read, in JSON too, and nothing of the driver's. */
function expectReadable(error: unknown): void {
  if (!(error instanceof MpmError)) throw new Error(`not an error of ours: ${inspect(error)}`);
  expect({ code: error.code, exit: error.exit, hint: typeof error.hint }).toEqual({
    code: 'CONNECTION',
    exit: 1,
    hint: 'string',
  });
  const { code, message, hint } = error;
  expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code, message, hint });
  expect(message).toContain('central database');
}

type Command = (config: Config, turn: number) => Promise<unknown>;

const COMMANDS: [string, Command][] = [
  ['status', (config) => status(config, { all: true })],
  ['plan', (config) => plan(config, { all: true })],
  ['exec', (config) => exec(config, { all: true }, 'select 1')],
  ['hold', (config) => hold(config, '1', { reason: 'test' })],
  [
    'release',
    (config) =>
      release(config, '1').catch((error: MpmError) => {
        // An answer that was lost: the row is what was asked for.
        if (error.code !== 'TENANT_STATUS') throw error;
      }),
  ],
  ['label', (config, turn) => label(config, '1', { turn: String(turn) })],
];

test('fleet 27: the central connection cut at any message is an error with code, remedy and exit 1', async () => {
  const { config } = await makeFleet(databases, { count: 2 });
  await up(config, { all: true });
  await using proxy = await startProxy(config.central.url);
  const through: Config = {
    ...config,
    central: { url: proxy.through(config.central.url) },
    pace: { ...config.pace, connectTimeout: 2000 },
  };
  for (const [name, command] of COMMANDS) {
    let errors = 0;
    for (let turn = 1; ; turn += 1) {
      let cut = false;
      const first = proxy.counts.roundTrips + turn;
      proxy.options.onRoundTrip = (number) => {
        if (number !== first) return undefined;
        cut = true;
        return 'cut';
      };
      await command(through, turn).catch((error: unknown) => {
        errors += 1;
        expectReadable(error);
      });
      if (!cut) break;
    }
    expect({ name, failed: errors > 0 }).toEqual({ name, failed: true });
  }
});

test('fleet 27: the central connection cut while it is made, or while TLS is, too', async () => {
  const { config } = await makeFleet(databases, { count: 1 });
  await using proxy = await startProxy(config.central.url);
  const url = proxy.through(config.central.url);
  for (const [towards, after] of [
    ['client', 0],
    ['client', 1],
    ['client', 30],
    ['server', 1],
    ['server', 30],
  ] as const) {
    for (const query of ['', '?sslmode=require']) {
      proxy.options = { cut: { towards, after } };
      const broken = { ...config, central: { url: `${url}${query}` } };
      await listTenants(broken, {}).then(() => {
        throw new Error('it was listed');
      }, expectReadable);
    }
  }
});

test.each(['central', 'tenants'] as const)(
  'fleet 27: whatever is cut of %s while it runs, the ledger says of each migration that it was applied, or that it is lost',
  async (which) => {
    const fleet = await makeFleet(databases, { count: 1 });
    const { config, tenants } = fleet;
    await up(config, { all: true });
    await using proxy = await startProxy(config.central.url);
    const server = config.servers['default']!;
    const through: Config =
      which === 'central'
        ? { ...config, central: { url: proxy.through(config.central.url) } }
        : { ...config, servers: { default: { ...server, url: proxy.through(server.url) } } };
    for (let turn = 1; ; turn += 1) {
      const name = `${100 + turn}_t`;
      await fleet.write({ [`core/${name}.sql`]: `create table t${turn} (id int);` });
      let cut = false;
      const first = proxy.counts.roundTrips + turn;
      proxy.options.onRoundTrip = (number) => {
        if (number !== first) return undefined;
        cut = true;
        return 'cut';
      };
      const report = await up(through, { all: true }).catch((error: unknown) => expectReadable(error));
      const [ledger] = await fleet.central<{ count: number }>(
        `select count(*)::int as count from mpm_migrate.run_tenants where applied @> '[{"name": "${name}"}]'`,
      );
      let applied = 0;
      for (const tenant of tenants) if ((await fleet.historyOf(tenant)).includes(name)) applied += 1;
      if (report && !report.error) expect({ turn, ledger: ledger?.count }).toEqual({ turn, ledger: applied });
      else if (report) expect(report.error).toMatchObject({ code: 'LEDGER_LOST' });
      else expect({ turn, applied }).toEqual({ turn, applied: 0 });
      if (!cut) break;
      await up(config, { all: true });
    }
  },
);

test('fleet 27: a loss is told as such where a server of tenants is lost', async () => {
  const { config, tenants, central } = await makeFleet(databases, { count: 1 });
  await using proxy = await startProxy(config.servers['default']!.url);
  const servers = { default: { name: 'default', url: proxy.through(config.servers['default']!.url) } };
  await central('delete from company_databases; delete from companies');
  for (let turn = 1; ; turn += 1) {
    let cut = false;
    const first = proxy.counts.roundTrips + turn;
    proxy.options.onRoundTrip = (number) => {
      if (number === first) cut = true;
      return number === first ? 'cut' : undefined;
    };
    const work = adopt({ ...config, servers }, { name: `n${turn}`, database: tenants[0]!.database });
    const error: unknown = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    // Cut at its goodbye, it is done.
    if (!cut || !error) break;
    expect(error).toMatchObject({ name: 'MpmError' });
    expect((error as MpmError).code).not.toBe('BUG');
  }
});
