import { Errors } from '@oclif/core';
import type { Hook } from '@oclif/core';
import { EXIT } from '../errors.ts';

/** oclif's `command_not_found` hook: names the command that was probably meant, and ends with the usage code. */
const didYouMean: Hook.CommandNotFound = async function ({ id, config }) {
  const typed = id.split(':');
  const candidates = config.commands
    .filter((command) => !command.hidden)
    .map((command) => {
      const words = command.id.split(':');
      return {
        name: words.join(' '),
        distance: distance(typed.slice(0, words.length).join(' '), words.join(' ')),
      };
    })
    .toSorted((a, b) => a.distance - b.distance);
  const [best] = candidates;
  const suggestion = best && best.distance <= Math.max(2, best.name.length / 3) ? best.name : undefined;
  const next = suggestion
    ? `Did you mean: ${config.bin} ${suggestion}`
    : `All commands: ${config.bin} --help`;
  Errors.error(`"${typed.join(' ')}" is not a command.`, { exit: EXIT.usage, suggestions: [next] });
};

export default didYouMean;

/** Edits (insert, delete, replace) that turn one word into the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [above, letter] of [...from].entries()) {
    const next = [above + 1];
    for (const [column, other] of [...to].entries()) {
      const [diagonal = 0, up = 0] = row.slice(column);
      next.push(Math.min(up + 1, (next[column] ?? 0) + 1, diagonal + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
