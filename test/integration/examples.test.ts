import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { up } from '../../src/fleet/verbs/up.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

const EXAMPLES = join(import.meta.dirname, '../../docs/examples');

function start(name: string, centralUrl: string): ChildProcess {
  return spawn(process.execPath, [join(EXAMPLES, name)], {
    env: { PATH: process.env['PATH'], CENTRAL_URL: centralUrl, PORT: '0' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

async function makeUsers() {
  const fleet = await makeFleet(databases, { count: 3 });
  await up(fleet.config, { all: true });
  await fleet.central(
    `insert into database_proxies (email, fk_company_id) select 'user@' || name || '.example', id from companies`,
  );
  return fleet;
}

const basic = (email: string) => ({ authorization: `Basic ${Buffer.from(`${email}:x`).toString('base64')}` });
const header = (email: string) => ({ 'x-user-email': email });

describe.each([
  { name: 'express.js', as: basic as (email: string) => Record<string, string> },
  { name: 'fastify.js', as: header as (email: string) => Record<string, string> },
])('docs/examples/$name', ({ name, as }) => {
  test('each user is served out of their own company’s database', { timeout: 60_000 }, async () => {
    const fleet = await makeUsers();
    const server = start(name, fleet.config.central.url);
    try {
      const [line] = (await once(createInterface({ input: server.stdout! }), 'line')) as [string];
      const url = `http://localhost:${/^listening on (\d+)$/.exec(line)?.[1]}/meters`;
      const call = async (email: string, id?: number) => {
        const sent =
          id === undefined
            ? {}
            : {
                method: 'POST',
                body: JSON.stringify({ id }),
                headers: { 'content-type': 'application/json' },
              };
        const answer = await fetch(url, { ...sent, headers: { ...sent.headers, ...as(email) } });
        return { status: answer.status, body: (await answer.json()) as unknown };
      };
      const user = (id: number) => `User@Company-${id}.example`;
      const added = await Promise.all(
        Array.from({ length: 60 }, (_, index) => call(user((index % 3) + 1), index)),
      );
      expect(added.map(({ status }) => status)).toEqual(added.map(() => 201));
      expect(added[4]?.body).toEqual({ company: 'company-2' });
      for (const [at, tenant] of fleet.tenants.entries()) {
        const own = Array.from({ length: 20 }, (_, index) => ({ id: index * 3 + at, note: null }));
        expect(await call(user(at + 1))).toEqual({ status: 200, body: own });
        expect(await fleet.of(tenant, 'select count(*)::int as count from meters')).toEqual([{ count: 20 }]);
      }
      expect(await call('stranger@acme.example')).toEqual({ status: 401, body: { error: 'UNKNOWN_USER' } });
      await fleet.central("update company_databases set status = 'hold' where company_id = 2");
      await expect.poll(() => call(user(2))).toEqual({ status: 403, body: { error: 'TENANT_SUSPENDED' } });
      expect((await call(user(1))).status).toBe(200);
      server.kill('SIGTERM');
      expect(await once(server, 'close')).toEqual([0, null]);
    } finally {
      server.kill('SIGKILL');
    }
  });
});

test(
  'docs/examples/worker.js does each company’s jobs in its own database',
  { timeout: 60_000 },
  async () => {
    const fleet = await makeUsers();
    await fleet.central("update company_databases set status = 'hold' where company_id = 3");
    const worker = start('worker.js', fleet.config.central.url);
    try {
      const jobs = [
        ...Array.from({ length: 40 }, (_, id) => ({ tenant: (id % 2) + 1, kind: 'addMeter', id })),
        { tenant: 3, kind: 'count' },
        { tenant: 1, kind: 'addMeter', id: 0 },
        { tenant: 99, kind: 'count' },
      ];
      worker.stdin!.end(jobs.map((job) => `${JSON.stringify(job)}\n`).join(''));
      const [printed] = await Promise.all([text(worker.stdout!), once(worker, 'close')]);
      expect(printed.trim().split('\n').sort()).toEqual([
        'job of 1 failed: 23505',
        'job of 3 failed: TENANT_SUSPENDED',
        'job of 99 failed: UNKNOWN_TENANT',
      ]);
      expect(worker.exitCode).toBe(0);
      for (const tenant of fleet.tenants.slice(0, 2)) {
        expect(await fleet.of(tenant, 'select count(*)::int as count from meters')).toEqual([{ count: 20 }]);
      }
    } finally {
      worker.kill('SIGKILL');
    }
  },
);
