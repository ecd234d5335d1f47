/** What P6 and P7 have in common: a server with fsync, a fleet with a history of some length, tenants by the dozen. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configFrom } from '../../src/config/load.ts';
import type { Config } from '../../src/config/define.ts';
import { centralUp } from '../../src/central/up.ts';
import { startEmbedded } from '../../src/postgres/embedded.ts';
import { connect, withConnection } from '../../src/postgres/connect.ts';
import type { Connection } from '../../src/postgres/connection.ts';
import type { ProvisionReport } from '../../src/tenant/creation.ts';
import { provision } from '../../src/tenant/provision.ts';

export interface NewTenants {
  config: Config;
  server: Connection;
  /** Creates one, and drops what is kept from the one before; by default its database is dropped outside of the time. */
  create(templates: boolean): Promise<ProvisionReport>;
  /** The same, until the new tenant has answered a query; ms. */
  untilQuery(templates: boolean): Promise<number>;
  /** Drops the databases of all tenants so far. */
  clear(): Promise<void>;
}

/** Migrations as products have them: a table each, with an index, a foreign key or a column later on. */
function migration(at: number): string {
  if (at % 3 === 0) {
    return `create table t${at} (id bigserial primary key, name text not null default '', made timestamptz default now());\ncreate index on t${at} (name);\n`;
  }
  const table = at - (at % 3);
  return at % 3 === 1
    ? `alter table t${table} add column note text;\n`
    : `comment on column t${table}.note is 'what people say';\ncreate index on t${table} (made);\n`;
}

export async function withNewTenants(
  count: number,
  use: (tenants: NewTenants) => Promise<void>,
): Promise<void> {
  const postgres = await startEmbedded({ fsync: true });
  const root = await mkdtemp(join(tmpdir(), 'mpm-bench-'));
  try {
    const folder = join(root, 'migrations/core');
    await mkdir(folder, { recursive: true });
    for (let at = 0; at < count; at++) await writeFile(join(folder, `${at + 1}_step.sql`), migration(at));
    const url = new URL(postgres.url);
    url.pathname = '/central';
    const config = await configFrom({ central: { url: url.href } }, {}, { cwd: root, env: {} });
    await centralUp(config);
    const server = await connect({ url: postgres.url, applicationName: 'bench', connectTimeout: 5000 });
    await use(newTenants(config, server));
    await server.close();
  } finally {
    await postgres.stop();
    await rm(root, { recursive: true });
  }
}

function newTenants(config: Config, server: Connection): NewTenants {
  let number = 0;
  const made: string[] = [];
  const create = async (templates: boolean): Promise<ProvisionReport> => {
    const report = await provision({ ...config, templates }, { name: `Company ${++number}` });
    made.push(report.tenant.database);
    return report;
  };
  return {
    config,
    server,
    create,
    async untilQuery(templates) {
      const started = performance.now();
      const { tenant } = await create(templates);
      const url = config.servers['default']?.url ?? '';
      const target = { url, database: tenant.database, applicationName: 'bench', connectTimeout: 5000 };
      await withConnection(target, (connection) => connection.query('select count(*) from t0'));
      return performance.now() - started;
    },
    async clear() {
      for (const database of made.splice(0)) await server.query(`drop database "${database}" with (force)`);
      // What was written is on the disk before the next one is measured.
      await server.query('checkpoint');
    },
  };
}
