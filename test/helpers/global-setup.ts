import type { TestProject } from 'vitest/node';
import type { EmbeddedServer } from '../../src/postgres/embedded/embedded.ts';
import { startSharedServer } from './server.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    testServer: string;
  }
}

interface Shared {
  server: Promise<EmbeddedServer>;
  users: number;
}

// Each vitest project that needs a server sets one up, in one process: they share it through here.
const place = globalThis as { mpmTestServer?: Shared | undefined };

/**
 * The first worker's PostgreSQL server: that of MPM_TEST_DATABASE_URL (a superuser's URL), else one that is started here,
 * of the programs in MPM_TEST_SERVER_BIN if set. The other workers start their own: worker-setup.ts.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env['MPM_TEST_DATABASE_URL'];
  if (given) {
    project.provide('testServer', given);
    return undefined;
  }
  const shared = (place.mpmTestServer ??= { server: startSharedServer(), users: 0 });
  shared.users += 1;
  project.provide('testServer', (await shared.server).url);
  return async () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    place.mpmTestServer = undefined;
    await (await shared.server).stop();
  };
}
