/** What P6 and P7 have in common: a server with fsync, a fleet with a history of some length, tenants by the dozen. */
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { configFrom } from '../../src/config/load.ts';
import type { Config } from '../../src/config/define.ts';
import { centralUp } from '../../src/central/up.ts';
import { startEmbedded } from '../../src/postgres/embedded.ts';
import { connect, withConnection } from '../../src/postgres/connect.ts';
import type { Connection } from '../../src/postgres/connection.ts';
import type { ProvisionReport } from '../../src/tenant/creation.ts';
import { provision } from '../../src/tenant/provision.ts';
import { writeFiles, writeHistory } from './history.ts';

/** Of creating a file; where freed inodes were searched it was five times as much. */
const USUAL_MS = 0.1;

export interface NewTenants {
  config: Config;
  server: Connection;
  create(templates: boolean): Promise<ProvisionReport>;
  /** The same, until the new tenant has answered a query; ms. */
  untilQuery(templates: boolean): Promise<number>;
  /** What was written is on the disk before the next one is measured. Nothing is dropped: see `settled`. */
  checkpoint(): Promise<void>;
}

export async function withNewTenants(use: (tenants: NewTenants) => Promise<void>): Promise<void> {
  const postgres = await startEmbedded({ fsync: true });
  const root = await mkdtemp(join(tmpdir(), 'mpm-bench-'));
  try {
    const folder = join(root, 'migrations/core');
    await writeFiles(folder, writeHistory());
    const url = new URL(postgres.url);
    url.pathname = '/central';
    const config = await configFrom({ central: { url: url.href } }, {}, { cwd: root, env: {} });
    await centralUp(config);
    const server = await connect({ url: postgres.url, applicationName: 'bench', connectTimeout: 5000 });
    await settled(postgres.dir);
    await use(newTenants(config, server));
    await server.close();
  } finally {
    await postgres.stop();
    await rm(root, { recursive: true });
  }
}

function newTenants(config: Config, server: Connection): NewTenants {
  let number = 0;
  const create = (templates: boolean): Promise<ProvisionReport> =>
    provision({ ...config, templates }, { name: `Company ${++number}` });
  return {
    config,
    server,
    create,
    async untilQuery(templates) {
      const started = performance.now();
      const { tenant } = await create(templates);
      const url = config.servers['default']?.url ?? '';
      const target = { url, database: tenant.database, applicationName: 'bench', connectTimeout: 5000 };
      await withConnection(target, (connection) => connection.query('select count(*) from customer_0'));
      return performance.now() - started;
    },
    async checkpoint() {
      await server.query('checkpoint');
    },
  };
}

/**
 * Waits until files are created at their usual pace, for 10 minutes at most. For some time after files were removed,
 * ext4 looks at each of their inodes before it takes another one (`recently_deleted`): a database of 700 files then
 * takes a multiple of its time, whoever makes it. A new database may be placed elsewhere on the disk than the probe.
 */
async function settled(dir: string): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    const folder = await mkdtemp(join(dir, 'probe-'));
    const started = performance.now();
    for (let at = 0; at < 500; at++) closeSync(openSync(join(folder, String(at)), 'w'));
    if (performance.now() - started < 500 * USUAL_MS) return;
    if (tries === 0) console.log('      … waiting for the disk: files were removed from it a short time ago');
    await sleep(10_000);
  }
  throw new Error(
    'files are still created slowly after 10 minutes: run it again when nothing else uses this disk',
  );
}
