import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Step, ToolName } from './collect.ts';
import type { Script } from './sections.ts';
import { applyInOneSession, applyWithPsql, ask } from './psql.ts';

const run = promisify(execFile);
const JITI = fileURLToPath(new URL('../../node_modules/.bin/jiti', import.meta.url));
const KYSELY = fileURLToPath(new URL('kysely.ts', import.meta.url));

/** What went through in a database of the other side. */
export interface Outcome {
  done: Step[];
  /** Of one session, without starting a process. */
  ms: number;
  failure?: { file: string; message: string };
}

/** The other side: the same files without mpm-migrate. */
export interface Reference {
  /** How the ms of `up` and `again` were measured. */
  timed: string;
  up(url: string, steps: readonly Step[]): Promise<Outcome>;
  down(url: string, steps: readonly Step[]): Promise<Outcome>;
  /** What the first `up` did, once more on an empty database: ms. */
  again(url: string): Promise<number>;
}

/** @param newDatabase makes an empty one and gives its URL */
export function referenceFor(
  tool: ToolName,
  folder: string,
  scratch: string,
  newDatabase: (name: string) => Promise<string>,
): Reference {
  return tool === 'kysely' ? byKysely(folder) : byPsql(scratch, newDatabase);
}

function byPsql(scratch: string, newDatabase: (name: string) => Promise<string>): Reference {
  let first: readonly Script[] | undefined;
  const apply = async (url: string, steps: readonly Step[], direction: 'up' | 'down') => {
    const { done, ...result } = await applyWithPsql(url, steps, direction, scratch);
    return { ...result, scripts: done, done: steps.slice(0, done.length) };
  };
  return {
    timed: 'one psql session',
    async up(url, steps) {
      const { scripts, ...outcome } = await apply(url, steps, 'up');
      if (first) return outcome;
      first = scripts;
      return { ...outcome, ms: await this.again(await newDatabase('one_session')) };
    },
    async down(url, steps) {
      const { scripts: _, ...outcome } = await apply(url, steps, 'down');
      return outcome;
    },
    again: (url) => applyInOneSession(url, first ?? [], scratch),
  };
}

/** Kysely applies all in one transaction, so either all steps went through or none. */
function byKysely(folder: string): Reference {
  const migrate = async (url: string, steps: readonly Step[], direction: 'up' | 'down'): Promise<Outcome> => {
    const { stdout } = await run(JITI, [KYSELY, url, folder, direction], { maxBuffer: 64 << 20 });
    const { done, ms, failed, message } = JSON.parse(stdout) as {
      done: string[];
      ms: number;
      failed?: string;
      message?: string;
    };
    if (message !== undefined) return { done: [], ms, failure: { file: failed ?? folder, message } };
    await ask(url, 'drop table if exists kysely_migration, kysely_migration_lock');
    return { done: steps.filter(({ name }) => done.includes(name)), ms };
  };
  return {
    timed: "Kysely's migrator",
    up: (url, steps) => migrate(url, steps, 'up'),
    down: (url, steps) => migrate(url, steps, 'down'),
    again: async (url) => (await migrate(url, [], 'up')).ms,
  };
}
