import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { withDatabases } from '../helpers/database.ts';
import { pgbouncerAvailable, startPgbouncer } from '../helpers/pgbouncer.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();

async function ask(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query(text)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

test('databases are created, cloned and dropped', async () => {
  const original = await databases.create('original');
  await ask(original.url, 'create table t as select 1 as n');
  const clone = await databases.clone(original.name);
  expect(await databases.query('select n from t', clone.name)).toEqual([{ n: 1 }]);
  await clone.drop();
  await expect(ask(clone.url, 'select 1')).rejects.toThrow('does not exist');
});

test('a proxy delays, counts and cuts', async () => {
  const { url } = await databases.create('wire');
  const proxy = await startProxy(url, { delay: 20 });
  const client = new pg.Client(proxy.through(url));
  client.on('error', () => {});
  await client.connect();
  const started = performance.now();
  await client.query('select 1');
  expect(performance.now() - started).toBeGreaterThan(38);
  await client.end();

  proxy.options = { cut: { after: proxy.counts.toClient + 1000, towards: 'client' } };
  await expect(ask(proxy.through(url), "select repeat('x', 100000)")).rejects.toThrow('terminated');
  expect(proxy.counts.connections).toBe(2);
  await proxy.stop();
});

describe.skipIf(!pgbouncerAvailable)('PgBouncer', () => {
  test('stands in front of every database', async () => {
    const { name, url } = await databases.create('pooled');
    const pooler = await startPgbouncer(url, { mode: 'transaction', size: 2 });
    expect(await ask(pooler.through(url), 'select current_database() as name')).toEqual([{ name }]);
    await pooler.stop();
  });
});
