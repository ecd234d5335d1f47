import { randomBytes } from 'node:crypto';
import pgCrypto from 'pg/lib/crypto/utils.js';
import { expect, test, vi } from 'vitest';
import { withConnection } from '../../src/postgres/connect.ts';
import { testServer, withDatabases } from '../helpers/database.ts';

const databases = withDatabases();
const target = { url: testServer(), applicationName: 'mpm-migrate/test', connectTimeout: 5000 };

// Fails when a new pg no longer takes its keys from where they are remembered.
test('a login asks for its key where keys are remembered', async () => {
  const deriveKey = vi.spyOn(pgCrypto, 'deriveKey');
  const hmac = vi.spyOn(pgCrypto, 'hmacSha256');
  await withConnection(target, (connection) => connection.query('select 1'));
  expect(deriveKey).toHaveBeenCalledOnce();
  expect(hmac).toHaveBeenCalledTimes(4);
});

test('a key is derived once for each password, salt and number of rounds', async () => {
  const salt = randomBytes(16);
  const [key, same] = [pgCrypto.deriveKey('secret', salt, 4096), pgCrypto.deriveKey('secret', salt, 4096)];
  expect(await same).toBe(await key);
  const others = await Promise.all([
    pgCrypto.deriveKey('Secret', salt, 4096),
    pgCrypto.deriveKey('secret', randomBytes(16), 4096),
    pgCrypto.deriveKey('secret', salt, 4097),
  ]);
  for (const other of others) expect(other).not.toEqual(await key);
});

test('a password that was changed is noticed, and letters outside ASCII are the same for both sides', async () => {
  const role = `${databases.prefix}scram`;
  const url = new URL(testServer());
  url.username = role;
  url.password = encodeURIComponent('pâss\u00a0wörd☃');
  const login = () =>
    withConnection({ ...target, url: url.href }, (connection) => connection.query('select 1'));
  await databases.query(`create role ${role} login password 'pâss\u00a0wörd☃'`);
  try {
    await login();
    await login();
    await databases.query(`alter role ${role} password 'another'`);
    await expect(login()).rejects.toMatchObject({ code: 'PASSWORD' });
    url.password = 'another';
    await login();
  } finally {
    await databases.query(`drop role ${role}`);
  }
});
