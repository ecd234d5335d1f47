/** Somebody else's migrations through the tool and through psql, compared. `npm run test:history -- DIR [--tenants 3]` */
import { mkdir, mkdtemp, rm, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startEmbedded } from '../../src/postgres/embedded/embedded.ts';
import { collect, type HistoryMigration } from './collect.ts';
import { compareHistory } from './history.ts';
import { serverPrograms } from './programs.ts';

const USAGE = `npm run test:history -- DIR [--tenants 3] [options]

  DIR        a folder of PostgreSQL migrations: NAME.up.sql and NAME.down.sql, NAME.sql, NAME.postgres.up.sql,
             NAME/up.sql, or files with the marks of goose, sql-migrate or dbmate
  --setup    SQL that those migrations take for granted; runs as the first migration on both sides
  --set      NAME=VALUE, a setting of the server that those migrations look at
  --replace  FROM=TO, text to replace in every file, for migrations that are templates
  --verbose  names every skipped file`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tenants: { type: 'string', default: '3' },
      setup: { type: 'string' },
      set: { type: 'string', multiple: true, default: [] },
      replace: { type: 'string', multiple: true, default: [] },
      verbose: { type: 'boolean', default: false },
    },
  });
  const [folder] = positionals;
  const tenants = Number(values.tenants);
  if (!folder || positionals.length !== 1 || !Number.isInteger(tenants) || tenants < 1) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const setup = values.setup === undefined ? undefined : await readFile(values.setup, 'utf8');
  const collected = collect(resolve(folder), values.replace.map(pair), setup);
  const { migrations } = collected;
  if (migrations.length === 0) throw new Error(`${folder} holds no PostgreSQL migration`);

  say(
    `${basename(resolve(folder))}: ${migrations.length} migrations, ${countDowns(migrations)} with a way down`,
  );
  for (const [why, files] of grouped(collected.skipped)) {
    const shown =
      values.verbose || files.length <= 8 ? files : [...files.slice(0, 5), `… ${files.length - 5} more`];
    say(`  skipped, ${why}: ${shown.join(', ')}`);
  }

  if (collected.renumbered) say(`  numbered anew: ${collected.renumbered}`);

  const project = await mkdtemp(join(tmpdir(), 'mpm-history-'));
  const end = new AbortController();
  const interrupt = (): void => end.abort(new Error('interrupted'));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    await mkdir(join(project, 'migrations', 'core'), { recursive: true });
    await using server = await startEmbedded({
      bin: await serverPrograms(),
      settings: Object.fromEntries(values.set.map(pair)),
    });
    say(`  PostgreSQL ${server.version}, ${tenants} tenants\n`);
    const findings = await compareHistory({
      migrations,
      tenants,
      project,
      serverUrl: server.url,
      signal: end.signal,
      say,
    });
    say(findings === 0 ? '\nNothing differs.' : `\n${findings} ${findings === 1 ? 'finding' : 'findings'}.`);
    return findings === 0 ? 0 : 1;
  } finally {
    await rm(project, { recursive: true, force: true });
  }
}

function pair(text: string): [string, string] {
  const at = text.lastIndexOf('=');
  return [text.slice(0, at), text.slice(at + 1)];
}

function countDowns(migrations: readonly HistoryMigration[]): number {
  return migrations.filter(({ down }) => down !== undefined).length;
}

function grouped(skipped: readonly { file: string; why: string }[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { file, why } of skipped) groups.set(why, [...(groups.get(why) ?? []), file]);
  return groups;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);
