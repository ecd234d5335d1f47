import type { Central } from './central.ts';

/** Records that migrations of the contract phase are as any other from now on. Twice is once. */
export async function recordReleased(
  { connection }: Pick<Central, 'connection'>,
  names: readonly string[],
  run: number | null,
): Promise<void> {
  await connection.prepared(
    'insert into mpm_migrate.released (name, run) select unnest($1::text[]), $2 on conflict (name) do nothing',
    [names, run],
  );
}
