import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { catalogOf } from '../helpers/catalog.ts';
import { ask } from './psql.ts';

const run = promisify(execFile);

export interface Snapshot {
  schema: string;
  rows: string;
}

/**
 * What a database consists of, without our history: its schema as pg_dump says it, or as its catalogs do where pg_dump is
 * older than the server; and how many rows each table has.
 */
export async function snapshot(url: string): Promise<Snapshot> {
  return { schema: await schemaOf(url), rows: await ask(url, COUNT_ROWS) };
}

async function schemaOf(url: string): Promise<string> {
  const options = ['--schema-only', '--no-owner', '--exclude-schema=mpm_migrate'];
  try {
    const { stdout } = await run('pg_dump', [...options, url], { maxBuffer: 256 << 20 });
    return withoutNoise(stdout);
  } catch (error) {
    if (!/server version mismatch/.test(String(error))) throw error;
    const lines = await catalogOf(url);
    return lines
      .filter((line) => !/mpm_migrate|^(?:comment of the )?database |^setting /.test(line))
      .join('\n');
  }
}

/** What differs, as a unified diff; undefined when nothing does. */
export async function difference(expected: Snapshot, actual: Snapshot): Promise<string | undefined> {
  const parts = [await diff(expected.schema, actual.schema), await diff(expected.rows, actual.rows)].filter(
    (part) => part !== '',
  );
  return parts.length ? parts.join('\n') : undefined;
}

function withoutNoise(dump: string): string {
  return dump
    .split('\n')
    .filter(
      (line) =>
        line.trim() !== '' && !/^(--|\\restrict|\\unrestrict|SET |SELECT pg_catalog\.set_config)/.test(line),
    )
    .join('\n');
}

async function diff(expected: string, actual: string): Promise<string> {
  if (expected === actual) return '';
  const folder = await mkdtemp(join(tmpdir(), 'mpm-diff-'));
  const files = ['psql', 'mpm-migrate'].map((name) => join(folder, name));
  try {
    await Promise.all([writeFile(files[0]!, `${expected}\n`), writeFile(files[1]!, `${actual}\n`)]);
    await run('diff', ['-U', '3', '--label', 'psql', '--label', 'mpm-migrate', ...files]);
    return '';
  } catch (error) {
    return (error as { stdout?: string }).stdout || String(error);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const COUNT_ROWS = `
select format(
  '%s.%s: %s rows', table_schema, table_name,
  (xpath('/row/c/text()', query_to_xml(
    format('select count(*) as c from %I.%I', table_schema, table_name), false, true, ''
  )))[1]::text
)
from information_schema.tables
where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema', 'mpm_migrate')
order by 1`;
