import { MpmError } from '../errors.ts';
import { databaseNameProblem, NAME_BYTES } from '../postgres/database.ts';
import { folderNameOf } from './folders/own-folder.ts';

/** Letters that Unicode does not take apart into a base and an accent. */
const LETTERS: Record<string, string> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  ð: 'd',
  đ: 'd',
  þ: 'th',
  ł: 'l',
  ħ: 'h',
  ı: 'i',
  ŋ: 'ng',
  ŧ: 't',
  '&': ' and ',
};

/** What a name without a letter or digit of ours becomes. */
const NAMELESS = 'tenant';

/** Room for `_99999` at the end of any of them. */
const BASE_BYTES = NAME_BYTES - 6;

/**
 * A company's name as a database's name: `a`–`z`, `0`–`9` and `_`, beginning with a letter (a database called
 * `42` would be taken for the tenant with that id).
 */
export function slugOf(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[ßæœøðđþłħıŋŧ&]/g, (letter) => LETTERS[letter] ?? '');
  const slug = plain.replace(/[^a-z0-9]+/g, '_').replace(/^_+|_+$/g, '');
  const named = /^[a-z]/.test(slug) ? slug : [NAMELESS, slug].filter(Boolean).join('_');
  return named.slice(0, BASE_BYTES).replace(/_+$/, '');
}

/**
 * The names that a company's database may have, without end: its slug, and the slug with a number.
 * @param central the central database, which is never a tenant's
 */
export function* databaseNames(name: string, central?: string): Generator<string, never> {
  const slug = slugOf(name);
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? slug : `${slug}_${number}`;
    const fits = folderNameOf(candidate) === candidate;
    if (fits && !databaseNameProblem(candidate, central)) yield candidate;
  }
}

/** @throws MpmError USAGE for a name that says nothing or that the central database cannot hold */
export function checkCompanyName(name: string): void {
  const problem =
    name.trim() === ''
      ? 'it is empty'
      : name.includes('\0')
        ? 'it contains a NUL character'
        : /\p{Surrogate}/u.test(name)
          ? "it isn't valid Unicode"
          : undefined;
  if (!problem) return;
  throw new MpmError('USAGE', `${JSON.stringify(name)} cannot be a tenant's name: ${problem}`, {
    hint: 'Give the company\'s name: mpm-migrate tenant create "Acme Ltd"',
  });
}
