import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

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
  readonly #env: NodeJS.ProcessEnv;

  constructor(project: string, centralUrl: string) {
    this.#project = project;
    this.#env = { ...process.env, MPM_CENTRAL_URL: centralUrl, NO_COLOR: '1' };
  }

  async run(args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<ToolResult> {
    const started = performance.now();
    const child = spawn(process.execPath, [BIN, ...args], {
      cwd: this.#project,
      env: { ...this.#env, ...more },
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
  async must(args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<ToolResult> {
    const result = await this.run(args, more);
    if (result.code === 0) return result;
    throw new Error(
      `mpm-migrate ${args.join(' ')} ended with ${result.code}:\n${result.stderr}\n${result.stdout}`,
    );
  }
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = '';
  stream.setEncoding('utf8' as never);
  for await (const chunk of stream) all += String(chunk);
  return all;
}
