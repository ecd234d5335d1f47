/** What P6 and P7 have in common: a server with fsync, a fleet with a history of some length, tenants by the dozen. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { configFrom } from '../../src/config/load.ts';
import type { Config } from '../../src/config/define.ts';
import { centralUp } from '../../src/central/schema/up.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { startEmbedded } from '../../src/postgres/embedded/embedded.ts';
import { connect, type DatabaseTarget, withConnection } from '../../src/postgres/connect.ts';
import type { Connection } from '../../src/postgres/connection.ts';
import type { ProvisionReport } from '../../src/tenants/create/creation.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { program } from './harness.ts';
import { writeFiles, writeHistory } from './history.ts';

/** ms; see `settle`. */
const REST = 75_000;

export interface NewTenants {
  config: Config;
  /** A session that has created databases before. */
  server: Connection;
  /** Where `server` is, for other sessions. */
  target: DatabaseTarget;
  /** As an application does it that has a fleet open. */
  create(how: 'template' | 'replay'): Promise<ProvisionReport>;
  /** The same, until the new tenant has answered a query. */
  untilQuery(how: 'template' | 'replay'): Promise<void>;
  /** Asks a tenant's database something, in a session of its own. */
  query(database: string): Promise<void>;
  /** As a command does it, which opens its connections. */
  command(): Promise<ProvisionReport>;
  /** What was written is on the disk before the next one is measured. Nothing is dropped: see `settle`. */
  checkpoint(): Promise<void>;
}

/** One for P6 and P7, because removing a server slows what is measured next: see `settle`. */
let opened: Promise<{ tenants: NewTenants; close(): Promise<void> }> | undefined;

export async function withNewTenants(use: (tenants: NewTenants) => Promise<void>): Promise<void> {
  const { tenants } = await (opened ??= open());
  await use(tenants);
}

export async function endNewTenants(): Promise<void> {
  const closing = opened;
  opened = undefined;
  await (await closing?.catch(() => undefined))?.close();
}

async function open(): Promise<{ tenants: NewTenants; close(): Promise<void> }> {
  // Its folder goes with this process at the latest.
  const postgres = await startEmbedded({ fsync: true });
  const root = await mkdtemp(join(tmpdir(), 'mpm-bench-'));
  const folder = join(root, 'migrations/core');
  await writeFiles(folder, writeHistory());
  const url = new URL(postgres.url);
  url.pathname = '/central';
  const config = await configFrom({ central: { url: url.href } }, {}, { cwd: root, env: {} });
  await centralUp(config);
  const target = { url: postgres.url, applicationName: 'bench', connectTimeout: 5000 };
  const server = await connect(target);
  const fleets = { template: new Fleet(config), replay: new Fleet({ ...config, templates: false }) };
  await settle();
  const close = async (): Promise<void> => {
    await Promise.all([server, ...Object.values(fleets)].map((each) => each.close()));
    await postgres.stop();
    await rm(root, { recursive: true });
  };
  return { tenants: newTenants(config, server, target, fleets), close };
}

function newTenants(
  config: Config,
  server: Connection,
  target: DatabaseTarget,
  fleets: { template: Fleet; replay: Fleet },
): NewTenants {
  let number = 0;
  const next = () => ({ name: `Company ${++number}` });
  const query = (database: string): Promise<void> =>
    withConnection(
      { ...target, database },
      async (session) => void (await session.query('select count(*) from customer_0')),
      { leave: true },
    );
  return {
    config,
    server,
    target,
    create: (how) => fleets[how].provision(next()),
    untilQuery: async (how) => query((await fleets[how].provision(next())).tenant.database),
    query,
    command: () => provision(config, next()),
    async checkpoint() {
      await server.query('checkpoint');
    },
  };
}

/**
 * Lets the disk rest. Where a file was removed in the last minute, or is not known to be on the disk yet, ext4 looks
 * at its inode before it takes another one for a new file (`recently_deleted`): a database of 700 files then takes a
 * multiple of its time, whoever makes it. The bench before P6 has removed a server.
 */
async function settle(): Promise<void> {
  console.log(`      … letting the disk rest for ${REST / 1000} s`);
  await program('sync', []);
  await sleep(REST);
}
