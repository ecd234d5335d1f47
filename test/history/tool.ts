import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HistoryMigration } from './collect.ts';

const BIN = fileURLToPath(new URL('../../bin/run.js', import.meta.url));

export interface ToolResult {
  code: number;
  stdout: string;
  stderr: string;
  ms: number;
}

/** The real CLI, as a user has it, in a project of its own. */
export class Tool {
  readonly #project: string;
  readonly #centralUrl: string;

  constructor(project: string, centralUrl: string) {
    this.#project = project;
    this.#centralUrl = centralUrl;
  }

  async run(...args: string[]): Promise<ToolResult> {
    const started = performance.now();
    const env = { ...process.env, MPM_CENTRAL_URL: this.#centralUrl, NO_COLOR: '1' };
    const child = spawn(process.execPath, [BIN, ...args], {
      cwd: this.#project,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [stdout, stderr, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number>((resolve) => child.on('close', (exit) => resolve(exit ?? 1))),
    ]);
    return { code, stdout, stderr, ms: Math.round(performance.now() - started) };
  }

  /** Throws what it said when it does not end with 0. */
  async must(...args: string[]): Promise<ToolResult> {
    const result = await this.run(...args);
    if (result.code === 0) return result;
    throw new Error(
      `mpm-migrate ${args.join(' ')} ended with ${result.code}:\n${result.stderr}\n${result.stdout}`,
    );
  }

  /** Puts the migrations into the core folder, those named in `outside` as `transaction:false`. */
  async writeCore(
    migrations: readonly HistoryMigration[],
    outside: Outside = { up: new Set(), down: new Set() },
  ): Promise<void> {
    const folder = join(this.#project, 'migrations', 'core');
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const files = migrations.flatMap((migration) => filesOf(migration, outside));
    await Promise.all(files.map(([file, content]) => writeFile(join(folder, file), content)));
  }
}

/** Names of migrations whose way up or down is to run outside a transaction. */
export interface Outside {
  up: ReadonlySet<string>;
  down: ReadonlySet<string>;
}

function filesOf(migration: HistoryMigration, outside: Outside): [file: string, content: string][] {
  const { name, up, down } = migration;
  const option = (direction: 'up' | 'down'): string =>
    outside[direction].has(name) ? ' transaction:false' : '';
  if (option('up') || option('down')) {
    const lower = down === undefined ? '' : `\n-- migrate:down${option('down')}\n${down}`;
    return [[`${name}.sql`, `-- migrate:up${option('up')}\n${up}${lower}`]];
  }
  if (down === undefined) return [[`${name}.sql`, up]];
  return [
    [`${name}.up.sql`, up],
    [`${name}.down.sql`, down],
  ];
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = '';
  stream.setEncoding('utf8' as never);
  for await (const chunk of stream) all += String(chunk);
  return all;
}
