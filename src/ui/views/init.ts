import type { Theme } from '../theme.ts';

const NEXT: [command: string, what: string][] = [
  ['mpm-migrate central up', 'creates the central database and its tables'],
  ['mpm-migrate tenant create "Acme Ltd"', 'creates a tenant and its database'],
  ['mpm-migrate create add_meters', 'creates the next migration'],
  ['mpm-migrate up --all', 'applies pending migrations to every tenant'],
];

/** What `init` wrote, and what to do next. */
export function initText(files: readonly string[], { good, dim, command, symbols }: Theme): string {
  const widest = Math.max(...NEXT.map(([line]) => line.length));
  return [
    ...files.map((file) => `${good(symbols.tick)} ${file}`),
    '',
    'Set central.url in mpm-migrate.config.ts, or MPM_CENTRAL_URL. Then:',
    ...NEXT.map(([line, what]) => `  ${command(line)}${' '.repeat(widest - line.length)}  ${dim(what)}`),
    '',
  ].join('\n');
}
