import { inject } from 'vitest';
import { startSharedServer } from './server.ts';

/** Where a worker keeps the URL of its server, from one test file to the next. */
export const place = globalThis as { mpmWorkerServer?: string };

// A server for each worker: what a test does to the whole server, no test beside it sees. It ends with the worker.
const first = process.env['VITEST_POOL_ID'] === '1' || process.env['MPM_TEST_DATABASE_URL'];
place.mpmWorkerServer ??= first ? inject('testServer') : (await startSharedServer()).url;
