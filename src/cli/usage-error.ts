import { stripVTControlCharacters } from 'node:util';
import { suggest } from '../config/environment.ts';
import { MpmError } from '../errors.ts';

/**
 * What went wrong while words were parsed, in the form that our own errors have.
 * @param command as it is typed
 * @param flags the names of its flags
 */
export function usageError(thrown: unknown, command: string, flags: readonly string[]): MpmError {
  if (thrown instanceof MpmError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new MpmError('USAGE', wording(message), {
    cause: thrown,
    hint: meantFlag(thrown, flags) ?? `mpm-migrate ${command} --help`,
  });
}

function meantFlag(thrown: unknown, flags: readonly string[]): string | undefined {
  const unknown =
    thrown instanceof Error && 'flags' in thrown && Array.isArray(thrown.flags) && thrown.flags[0];
  if (typeof unknown !== 'string') return undefined;
  const meant = suggest(unknown.replace(/^-+/, '').replace(/=.*/s, ''), flags);
  return meant && `Did you mean --${meant}?`;
}

/** oclif's messages in the form that ours have: one statement, what is listed below it behind it. */
function wording(message: string): string {
  const [first = '', ...list] = stripVTControlCharacters(message)
    .replace(/\n?See more help with --help\s*$/, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line && !/^(Note: .* allow multiple values|Alternatively, you can use)/.test(line));
  const statement = first
    .replace(/^Nonexistent flag(s?): /, 'Unknown flag$1: ')
    .replace(/^Missing 1 required arg:?$/, 'Missing argument:')
    .replace(/^Missing \d+ required args:?$/, 'Missing arguments:')
    .replace(/^The following errors? occurred:$/, '');
  const said = list.map((line) =>
    line.replace(
      /^--([\w-]+)=.* cannot also be provided when using --([\w-]+)$/,
      "--$1 and --$2 can't be combined",
    ),
  );
  if (!statement) return said.join('\n');
  return said.length === 1 ? `${statement} ${said[0]}` : [statement, ...said].join('\n');
}
