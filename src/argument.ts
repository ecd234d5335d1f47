import { MpmError } from './errors.ts';

/**
 * A tenant as a caller of the library names it, as a word: its id, name or database.
 * @throws MpmError USAGE
 */
export function tenantWord(given: unknown): string {
  if (typeof given === 'bigint' || (typeof given === 'number' && Number.isSafeInteger(given))) {
    return String(given);
  }
  return text('a tenant', given, 'Name it by its id, its name or its database: fleet.connect(42).');
}

/** @throws MpmError USAGE for what is no text */
export function text(what: string, given: unknown, hint: string): string {
  if (typeof given === 'string') return given;
  const type = given === null ? 'null' : typeof given;
  throw new MpmError('USAGE', `${what} must be a text; this one is ${type}`, { hint });
}
