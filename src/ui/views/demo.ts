import type { Kept } from '../../fleet/verbs/demo.ts';
import type { Theme } from '../theme.ts';

/** The demo's last words. */
export function demoEnd(kept: Kept | undefined, theme: Theme): string {
  if (!kept) {
    return (
      `\n${theme.strong('Done.')} The server and everything on it have been removed.\n` +
      `To keep it and look around: ${theme.command('mpm-migrate demo --keep')}\n`
    );
  }
  const { folder, server, database } = kept;
  return [
    '',
    `${theme.strong('Done.')} The server is still running.`,
    '',
    'Look around:',
    `  cd ${folder}`,
    '  mpm-migrate status',
    `  PGPASSFILE=.pgpass psql -h ${server.host} -p ${server.port} -U postgres ${database}`,
    '',
    'Remove everything:',
    `  kill -INT $(head -n 1 ${server.dir}/data/postmaster.pid) && sleep 1 && rm -rf ${server.dir}`,
    '',
  ].join('\n');
}
