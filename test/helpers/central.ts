import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withCentral } from '../../src/central/central.ts';
import { USUAL_NAMING } from '../../src/engine/source/name.ts';
import type { Config } from '../../src/config/define.ts';
import { OPTIONS } from './options.ts';

/** A configuration whose addresses are URLs. */
export type TestConfig = Config & { central: { url: string }; servers: Record<string, { url: string }> };

/** A configuration as the code uses it, of a central database and the server it is on; folders that do not exist. */
export function configOf(centralUrl: string, more: Partial<Config> = {}): TestConfig {
  const root = join(tmpdir(), `mpm-none-${randomUUID()}`);
  const url = new URL(centralUrl);
  url.pathname = '/postgres';
  return {
    root,
    central: { url: centralUrl },
    servers: { default: { name: 'default', url: url.href } },
    migrations: {
      core: join(root, 'core'),
      central: join(root, 'central'),
      tenants: join(root, 'tenants'),
      plugins: join(root, 'plugins'),
      seeds: join(root, 'seeds'),
      ...USUAL_NAMING,
    },
    tenants: { builtIn: true },
    templates: true,
    sessions: {
      connections: 10,
      perTenant: 5,
      waitTimeout: 5000,
      idleTimeout: 60_000,
      ttl: 10_000,
      reset: 'auto',
    },
    history: { schema: 'mpm_migrate', table: 'history', owners: [] },
    databases: { connect: [] },
    pace: OPTIONS.pace,
    ...more,
  } as TestConfig;
}

/** As it is once the central database is open: with what tells the fleet from others. */
export function identified(config: Config): Promise<Config> {
  return withCentral(config, (central) => Promise.resolve(central.config));
}
