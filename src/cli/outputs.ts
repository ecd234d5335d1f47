import { randomBytes } from 'node:crypto';
import { closeSync, lstatSync, openSync, unlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { MpmError } from '../errors.ts';
import type { OnEvent } from '../fleet/events.ts';
import type { RunReport } from '../fleet/report/report.ts';
import { jsonOf } from '../text.ts';
import type { AllResults } from '../ui/report/json.ts';
import type { ErrorViewOptions } from '../ui/views/error.ts';
import { fileSink, type LineSink, stdoutSink, openResultFile } from './result-file.ts';

export interface OutputFlags {
  events?: string | undefined;
  report?: string[] | undefined;
}

/** Where else a run goes to, next to terminal and ledger: `--events`, `--report`. */
export interface Outputs<Report = RunReport> {
  onEvent: OnEvent;
  /** Stdout is taken: what else would be printed there goes to stderr. */
  takesStdout: boolean;
  /** Writes the reports. Returns what could not be written. */
  finish(report: Report | undefined, options: ErrorViewOptions): Promise<MpmError[]>;
  /** There is no report: nothing may stand there that looks like one. */
  abandon(): void;
}

/** In the place of a file's name. */
const STDOUT = '-';

/** The version of the events' form; it changes when a reader of the old one would misread the new one. */
const EVENTS_SCHEMA = 1;
/** Characters that are written at once. */
const CHUNK = 65_536;

type Render<Report> = (
  report: Report,
  results: AllResults,
  options: ErrorViewOptions & { host: string },
) => AsyncIterable<string> | Iterable<string>;

/** By the kind that is asked for. */
export type Renderers<Report> = Readonly<Record<string, () => Promise<Render<Report>>>>;

/** Of a run. */
export const RUN_RENDERERS: Renderers<RunReport> = {
  junit: async () => (await import('../ui/report/junit.ts')).junitReport,
  html: async () => (await import('../ui/report/html.ts')).htmlReport,
  json: async () => (await import('../ui/report/json.ts')).jsonReport,
};

/**
 * Opens all that is to be written before anything is touched.
 * @param taken what else has stdout
 * @param renderers the kinds of reports that there are
 * @throws MpmError USAGE for an unknown kind, a file that cannot be written, one that is named twice
 */
export function openOutputs<Report>(
  { events, report = [] }: OutputFlags,
  { taken, renderers }: { taken: string | undefined; renderers: Renderers<Report> },
): Outputs<Report> {
  const wanted = report.map((text) => parseReport(text, Object.keys(renderers)));
  const [first, second] = [
    ...(events === STDOUT ? ['--events -'] : []),
    ...wanted.filter(({ file }) => file === STDOUT).map(({ kind }) => `--report ${kind}=-`),
    ...(taken === undefined ? [] : [taken]),
  ];
  if (first !== undefined && second !== undefined) {
    throw new MpmError('USAGE', `${first} and ${second} both want stdout`, {
      hint: `Give one of them a file: ${first.replace(/-$/, first.startsWith('--events') ? 'events.ndjson' : 'FILE')}`,
    });
  }
  const named = [...(events === undefined ? [] : [events]), ...wanted.map(({ file }) => file)];
  requireDistinct(named.filter((file) => file !== STDOUT));
  const reports = wanted.map((each) => ({
    ...each,
    fd: each.file === STDOUT ? undefined : openFile(`--report ${each.kind}=`, each.file),
  }));
  const sink =
    events === undefined
      ? undefined
      : events === STDOUT
        ? stdoutSink()
        : fileSink(openFile('--events ', events));
  const results = reports.length ? openResultFile() : undefined;
  const tellEvent = sink && eventLines(sink);

  return {
    takesStdout: named.includes(STDOUT),
    onEvent: (event) => {
      results?.onEvent(event);
      return tellEvent?.(event);
    },
    async finish(report, options) {
      const problems: MpmError[] = [];
      if (sink?.error) problems.push(unwritten(`--events ${events}`, sink.error));
      sink?.close();
      for (const { kind, file, fd } of reports) {
        const error =
          results &&
          report &&
          (results.error ?? (await writeReport(renderers[kind], fd, report, results, options)));
        if (fd !== undefined) closeSync(fd);
        if (error) problems.push(unwritten(`--report ${kind}=${file}`, error));
      }
      results?.close();
      return problems;
    },
    abandon() {
      sink?.close();
      results?.close();
      for (const { file, fd } of reports) {
        if (fd === undefined) continue;
        closeSync(fd);
        if (lstatSync(file, { throwIfNoEntry: false })?.isFile()) unlinkSync(file);
      }
    },
  };
}

/** One JSON document a line, whole or not at all; the first one says which form they have. */
function eventLines(sink: LineSink): OnEvent {
  let first = true;
  return (event) => {
    const line = first ? { schema: EVENTS_SCHEMA, ...event } : event;
    first = false;
    return sink.write(`${jsonOf(line)}\n`);
  };
}

function parseReport(text: string, kinds: readonly string[]): { kind: string; file: string } {
  const [, kind = '', file = ''] = /^([^=]*)=?(.*)$/s.exec(text) ?? [];
  if (!kinds.includes(kind) || file === '') {
    const ways = kinds.map((known) => `--report ${known}=FILE`);
    throw new MpmError('USAGE', `--report ${text}: ${file ? 'no such kind of report' : 'no file'}`, {
      hint: `Write it as ${[ways.slice(0, -1).join(', '), ...ways.slice(-1)].filter(Boolean).join(' or ')}; - is stdout.`,
    });
  }
  return { kind, file };
}

function requireDistinct(files: readonly string[]): void {
  const paths = files.map((file) => resolve(file));
  const twice = files.find((_, index) => paths.indexOf(paths[index] ?? '') !== index);
  if (twice === undefined) return;
  throw new MpmError('USAGE', `${twice} is to be written twice`, {
    hint: 'Give each report a file of its own.',
  });
}

function openFile(flag: string, file: string): number {
  try {
    return openSync(file, 'w');
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/, open .*/, '') : String(error);
    throw new MpmError('USAGE', `${flag}${file} cannot be written: ${reason}`, {
      hint: 'Nothing was started. Its folder must be there, and be writable.',
    });
  }
}

async function writeReport<Report>(
  wanted: (() => Promise<Render<Report>>) | undefined,
  fd: number | undefined,
  report: Report,
  results: AllResults,
  options: ErrorViewOptions,
): Promise<Error | undefined> {
  const render = await wanted?.();
  if (!render) return undefined;
  const sink = fd === undefined ? stdoutSink() : fileSink(fd);
  let text = '';
  for await (const chunk of render(report, results, { ...options, host: hostname() })) {
    text += chunk;
    if (text.length < CHUNK) continue;
    await sink.write(text);
    text = '';
  }
  await sink.write(text);
  return sink.error;
}

function unwritten(flag: string, error: Error): MpmError {
  return new MpmError('FILE_SYSTEM', `${flag} was not written: ${error.message}`, {
    hint: 'The run itself is done; what it did: mpm-migrate run show',
  });
}

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
