import type { Kept } from '../../fleet/verbs/demo.ts';
import type { Theme } from '../theme.ts';

/** The demo's last words. */
export function demoEnd(kept: Kept | undefined, theme: Theme): string {
  if (!kept) {
    return (
      `\n${theme.strong('That was it.')} The server and everything on it are removed.\n` +
      `To stay and look around: ${theme.command('mpm-migrate demo --keep')}\n`
    );
  }
  const { folder, server, database } = kept;
  return [
    '',
    `${theme.strong('That was it.')} The server is left running.`,
    '',
    'Look around:',
    `  cd ${folder}`,
    '  mpm-migrate status',
    `  PGPASSFILE=.pgpass psql -h ${server.host} -p ${server.port} -U postgres ${database}`,
    '',
    'Remove it all:',
    `  kill -INT $(head -n 1 ${server.dir}/data/postmaster.pid) && sleep 1 && rm -rf ${server.dir}`,
    '',
  ].join('\n');
}
