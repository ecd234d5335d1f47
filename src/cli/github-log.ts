import { randomBytes } from 'node:crypto';

/**
 * GitHub Actions reads lines of a step's log as commands. While mpm-migrate writes there, none but its own
 * annotations are: what a tenant's database says is data (engine 35).
 */
export interface GithubLog {
  /** Writes lines that are meant as commands. */
  command(lines: string): void;
  /** Lets the commands of what runs next in the step be read again. */
  end(): void;
}

/** Stops commands until they are wanted; undefined where the log is not GitHub's. */
export function openGithubLog(
  env: Readonly<Record<string, string | undefined>>,
  write: (text: string) => void,
): GithubLog | undefined {
  if (env['GITHUB_ACTIONS'] !== 'true') return undefined;
  // Nobody who writes into a database can know it.
  const token = randomBytes(16).toString('hex');
  const stop = `::stop-commands::${token}\n`;
  const resume = `::${token}::\n`;
  let open = true;
  write(stop);
  return {
    command: (lines) => {
      if (lines) write(open ? `${resume}${lines}${stop}` : lines);
    },
    end: () => {
      if (open) write(resume);
      open = false;
    },
  };
}
