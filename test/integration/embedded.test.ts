import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { connect } from '../../src/postgres/connect.ts';
import { startEmbedded } from '../../src/postgres/embedded/embedded.ts';

const bin = process.env['MPM_TEST_SERVER_BIN'];
const programs = bin ? { bin } : {};

test('a server starts, serves, stops and leaves nothing', async () => {
  const server = await startEmbedded({ ...programs, settings: { work_mem: '7MB' } });
  const client = new pg.Client(server.url);
  client.on('error', () => {});
  await client.connect();
  const { rows } = await client.query("select current_setting('work_mem') as work_mem, version()");
  expect(rows[0].work_mem).toBe('7MB');
  expect(rows[0].version).toContain(`PostgreSQL ${server.version}`);
  await Promise.all([server.stop(), server.stop()]);
  await expect(reachable(server.port)).resolves.toBe(false);
  expect(existsSync(server.dir)).toBe(false);
});

test('a wrong password is refused', async () => {
  const server = await startEmbedded({ ...programs, password: 'right' });
  const client = new pg.Client(server.url.replace('right', 'wrong'));
  await expect(client.connect()).rejects.toThrow('password authentication failed');
  // engine 46: it is up, and it says what it wants.
  const target = { url: server.url.replace(':right@', '@'), applicationName: 'test', connectTimeout: 5000 };
  await expect(connect(target)).rejects.toMatchObject({
    code: 'PASSWORD',
    message: expect.stringContaining('requires a password'),
    hint: expect.stringContaining('PGPASSWORD'),
  });
  const right = new pg.Client(server.url);
  await right.connect();
  await right.query('create database closed allow_connections false');
  await right.end();
  const closed = { ...target, url: server.url, database: 'closed' };
  await expect(connect(closed)).rejects.toMatchObject({
    code: 'CONNECTION',
    hint: expect.stringMatching(/^The server is up, but this database doesn't accept connections/),
  });
  await server.stop();
});

test('a server of a process that was killed goes away by itself', async () => {
  const start = `
    const { createJiti } = await import('jiti');
    const { startEmbedded } = await createJiti(process.cwd()).import('./src/postgres/embedded/embedded.ts');
    const { port, dir } = await startEmbedded(${JSON.stringify(programs)});
    console.log(JSON.stringify({ port, dir }));
    setInterval(() => {}, 1000);`;
  const root = join(import.meta.dirname, '../..');
  const parent = spawn(process.execPath, ['--input-type=module', '-e', start], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const { port, dir } = JSON.parse(line.toString()) as { port: number; dir: string };
  await expect(reachable(port)).resolves.toBe(true);
  parent.kill('SIGKILL');
  for (const deadline = Date.now() + 10_000; existsSync(dir) && Date.now() < deadline;) await sleep(20);
  expect(existsSync(dir)).toBe(false);
  await expect(reachable(port)).resolves.toBe(false);
});

test('programs that are not there are named', async () => {
  await expect(startEmbedded({ bin: '/nowhere' })).rejects.toMatchObject({
    code: 'EMBEDDED_FAILED',
    message: expect.stringContaining('/nowhere'),
  });
});

test('a setting that PostgreSQL does not know is reported in its words', async () => {
  await expect(startEmbedded({ ...programs, settings: { no_such_thing: '1' } })).rejects.toMatchObject({
    code: 'EMBEDDED_FAILED',
    message: expect.stringContaining('no_such_thing'),
  });
});

async function reachable(port: number): Promise<boolean> {
  const socket = connectSocket(port, '127.0.0.1');
  const answer = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(
      () => false,
      () => false,
    ),
  ]).catch(() => false);
  socket.destroy();
  return answer;
}
