import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const server = {
  globalSetup: ['test/helpers/global-setup.ts'],
  setupFiles: ['test/helpers/worker-setup.ts'],
};
const project = (name: string, include: string, more: object = {}): object => ({
  extends: true,
  test: { name, include: [include], ...more },
});

export default defineConfig({
  test: {
    // oclif writes through the console; intercepted, its output would come late and out of order.
    disableConsoleIntercept: true,
    // Importing the libraries anew for each file costs more than the tests. Files must not change globals.
    isolate: false,
    // Two at least: a test waits for the server half of the time, and the other way round. A given server is shared by none.
    maxWorkers: process.env['MPM_TEST_DATABASE_URL'] ? 1 : Math.max(2, availableParallelism() - 1),
    // A slow machine is no fault: only what stands still is ended.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    projects: [
      project('unit', 'test/unit/**/*.test.ts'),
      project('integration', 'test/integration/**/*.test.ts', server),
      project('cli', 'test/cli/**/*.test.ts', server),
      // Kills, cuts, races, and two processes at once: CI runs them with every commit.
      project('faults', 'test/faults/**/*.test.ts', server),
      project('adoption', 'test/adoption/*.test.ts', server),
      project('history', 'test/history/**/*.test.ts', server),
    ],
  },
});
