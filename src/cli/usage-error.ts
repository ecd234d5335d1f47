import { stripVTControlCharacters } from 'node:util';
import { asMpmError, EXIT, MpmError, redact } from '../errors.ts';

/** Anything thrown on the way through a command: oclif's own complaints become usage errors like ours. */
export function asCommandError(thrown: unknown, command: string): MpmError {
  if (thrown instanceof MpmError) return thrown;
  if (!isOclifError(thrown)) return asMpmError(thrown);
  const code = thrown.oclif.exit === EXIT.usage || 'parse' in thrown ? 'USAGE' : 'BUG';
  return new MpmError(code, redact(wording(thrown.message)), {
    cause: thrown,
    ...(code === 'USAGE' ? { hint: `mpm-migrate ${command} --help` } : {}),
  });
}

function isOclifError(thrown: unknown): thrown is Error & { oclif: { exit?: number } } {
  return (
    thrown instanceof Error && 'oclif' in thrown && typeof thrown.oclif === 'object' && thrown.oclif !== null
  );
}

/** oclif's messages in the form that ours have: one statement, what is listed below it indented. */
function wording(message: string): string {
  const [first = '', ...rest] = stripVTControlCharacters(message)
    .replace(/\n?See more help with --help\s*$/, '')
    .split('\n')
    .map((line) => line.trimEnd())
    .filter(Boolean);
  const list = rest.map((line) => line.trim());
  const statement = first
    .replace(/^Nonexistent flags?: /, (said) =>
      said.includes('flags') ? 'No such flags: ' : 'No such flag: ',
    )
    .replace(/^Missing (\d+) required args?:?$/, (_, count) =>
      count === '1' ? 'Missing argument:' : 'Missing arguments:',
    )
    .replace(/^The following errors? occurred:$/, '');
  if (!statement) return list.join('\n');
  return list.length === 1 ? `${statement} ${list[0]}` : [statement, ...list].join('\n');
}
