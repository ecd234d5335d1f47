import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import pgCrypto from 'pg/lib/crypto/utils.js';

/** Servers and users in a process; a server that sends another salt each time must not fill the memory. */
const MOST_KEYS = 100;

const stretch = promisify(pbkdf2);
const keys = new Map<string, Promise<Uint8Array>>();

/**
 * Makes pg remember the key that SCRAM derives from a password: one server asks every client of a user for the
 * same one, and 4,096 rounds take longer than the rest of a login (RFC 7677 names it). Hashes are computed here
 * and now, where Web Crypto asks another thread for each: three kilobytes at most are not worth the way.
 */
export function rememberKeys(): void {
  pgCrypto.deriveKey = deriveKey;
  pgCrypto.hmacSha256 = async (key, message) => createHmac('sha256', key).update(message).digest();
  pgCrypto.sha256 = async (data) => createHash('sha256').update(data).digest();
}

function deriveKey(password: string, salt: Uint8Array, iterations: number): Promise<Uint8Array> {
  // Hashed, so that the map is not one more place with passwords in it.
  const secret = createHash('sha256').update(salt).update(password).digest('base64');
  const name = `${iterations} ${secret}`;
  const known = keys.get(name);
  if (known) return known;
  const key = stretch(password, salt, iterations, 32, 'sha256');
  const [oldest] = keys.size >= MOST_KEYS ? keys.keys() : [];
  if (oldest !== undefined) keys.delete(oldest);
  keys.set(name, key);
  return key;
}
