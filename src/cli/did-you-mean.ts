import type { Hook } from '@oclif/core';
import { errorReport, MpmError } from '../errors.ts';

/** oclif's `command_not_found` hook: names the command that was probably meant, in the form of all errors. */
const didYouMean: Hook.CommandNotFound = async function ({ id, config, argv = [] }) {
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
  const hint = suggestion ? `Did you mean ${config.bin} ${suggestion}?` : `${config.bin} --help`;
  const error = new MpmError('USAGE', `Unknown command: ${typed.join(' ')}`, { hint });
  process.exitCode = error.exit;
  if (argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify({ error: errorReport(error) }, null, 2)}\n`);
    return;
  }
  const [{ environment }, { themeFor }, { errorView }] = await Promise.all([
    import('../config/load.ts'),
    import('../ui/theme.ts'),
    import('../ui/views/error.ts'),
  ]);
  const theme = themeFor(process.stderr, environment(), { color: !argv.includes('--no-color') });
  process.stderr.write(errorView(errorReport(error), theme));
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
