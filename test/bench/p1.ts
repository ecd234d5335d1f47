import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded } from '../../src/postgres/embedded/embedded.ts';
import { mpm, program } from './harness.ts';
import type { Bench } from './harness.ts';

const bench: Bench = {
  title: 'start, against `node -e 0`',
  async run(row) {
    const floor = (): Promise<string> => program(process.execPath, ['-e', '0']);
    const many = { floor, pairs: 15, warmUp: 2 };
    await row('--version', { ...many, limit: 2, ours: () => mpm(['--version']) });
    await row('--help', { ...many, limit: 4, ours: () => mpm(['--help']) });
    const server = await startEmbedded({ fsync: true });
    const cwd = await mkdtemp(join(tmpdir(), 'mpm-bench-'));
    try {
      await mkdir(join(cwd, 'migrations/core'), { recursive: true });
      await writeFile(join(cwd, 'migrations/core/1_nothing.sql'), 'select 1;\n');
      const project = { cwd, env: { MPM_CENTRAL_URL: server.url } };
      await mpm(['central', 'up'], project);
      await row('up --all, no tenants', { ...many, limit: 6, ours: () => mpm(['up', '--all'], project) });
    } finally {
      await server.stop();
      await rm(cwd, { recursive: true });
    }
  },
};

export default bench;
