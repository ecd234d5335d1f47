import { createHash } from 'node:crypto';
import { listNames } from './remedy.ts';
import type { Migration } from './migration.ts';
import type { Refusal } from './plan.ts';

/** Of templates/create, as {@link hashOf} has them: a test holds them together. */
const TEMPLATES: ReadonlySet<string> = new Set([
  'f69a94f3c5fb2611cff763b0bdc541156b82fe2a8c3a36cf3ddd09b891ddac46',
  '3a17707595a8a0f9077caa0fb6d06ccf32a408f84cb1278c038e08465ecfc951',
]);

/** No template is longer, in bytes. */
const LONGEST = 1000;

/** Whether a file is what `create` wrote, but for its spaces and line ends. */
export function isUntouched(content: Uint8Array): boolean {
  return content.length <= LONGEST && TEMPLATES.has(hashOf(Buffer.from(content).toString('utf8')));
}

/** SHA-256 in hex of a text without a BOM, its spaces and line ends as one space each. */
export function hashOf(text: string): string {
  return createHash('sha256')
    .update(
      text
        .replace(/^\uFEFF/, '')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .digest('hex');
}

/** To apply a template that nobody has filled in would record that all is done (engine 55). */
export function refuseUntouched(pending: readonly Migration[]): Refusal[] {
  const names = pending.filter(({ untouched }) => untouched).map(({ name }) => name);
  if (!names.length) return [];
  const what = names.length === 1 ? 'an untouched template' : 'untouched templates';
  return [
    {
      state: 'pending',
      names,
      message: `${listNames(names)}: ${what} of \`mpm-migrate create\``,
      remedy: 'Write the migration, or delete the file. If it is to do nothing, say so in a comment in it.',
    },
  ];
}
