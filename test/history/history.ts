import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Collected, ToolName } from './collect.ts';
import { difference, snapshot, type Snapshot } from './compare.ts';
import { ask } from './psql.ts';
import { type Outcome, referenceFor } from './reference.ts';
import { Tool, type ToolResult } from './tool.ts';

export interface Comparison {
  tool: ToolName;
  /** With the migrations, as they lie; mpm-migrate reads it, and `collected` is what its own tool reads. */
  folder: string;
  collected: Collected;
  tenants: number;
  /** SQL that those migrations take for granted. */
  before?: string;
  /** How often both sides are measured. */
  rounds: number;
  /** Whether to revert and apply again what has a way down. */
  andDown: boolean;
  /** A folder of its own, whose mpm-migrate.config.json says where the migrations are. */
  project: string;
  /** Of a superuser on a server of its own. */
  serverUrl: string;
  signal: AbortSignal;
  say(line: string): void;
}

const TEMPLATE = 'before_history';

/** Applies the migrations on both sides, up, down and up again, and says what differs; returns how many findings. */
export async function compareHistory(comparison: Comparison): Promise<number> {
  const { tool: name, folder, collected, project, serverUrl, say, signal, tenants, andDown } = comparison;
  const tool = new Tool(project, urlOf(serverUrl, 'micro_power_manager'));
  const report = new Findings(say);
  const scratch = join(project, 'scratch');
  const empty = join(project, 'empty');
  for (const made of [scratch, empty]) await mkdir(made);
  await ask(serverUrl, `create database ${TEMPLATE} template template0`);
  if (comparison.before !== undefined) await ask(urlOf(serverUrl, TEMPLATE), comparison.before);
  const newDatabase = async (database: string): Promise<string> => {
    await ask(serverUrl, `create database ${database} template ${TEMPLATE}`);
    return urlOf(serverUrl, database);
  };

  const reference = referenceFor(name, folder, scratch, newDatabase);
  const url = await newDatabase('by_reference');
  const up = await reference.up(url, collected.steps);
  sayOutcome(say, `${reference.timed}, up`, up);
  // What does not run there says nothing about mpm-migrate; what comes after it may depend on it.
  const steps = up.done;
  const full = await snapshot(url);

  const names = Array.from({ length: tenants }, (_, at) => `history_${at + 1}`);
  const selection = names.flatMap((tenant) => ['--tenant', tenant]);
  const newTenant = async (tenant: string): Promise<void> => {
    await tool.must(['tenant', 'create', tenant, '--database', tenant], { MPM_CORE_FOLDER: empty });
    // What is there before our history is there on purpose.
    if (comparison.before !== undefined)
      await tool.must(['baseline', '--tenant', tenant, '--to', '0', '--write']);
  };
  await tool.must(['central', 'up']);
  for (const tenant of names) await newTenant(tenant);
  const compareAll = async (step: string, expected: Snapshot): Promise<void> => {
    for (const tenant of names) {
      signal.throwIfAborted();
      const actual = await snapshot(urlOf(serverUrl, tenant));
      report.difference(`${step}, ${tenant}`, await difference(expected, actual));
    }
  };
  const migrate = async (step: string, count: number, ...args: string[]): Promise<ToolResult | undefined> => {
    const result = await tool.run([...args, ...selection, '--json']);
    if (report.failed(step, result)) return undefined;
    say(
      `  mpm-migrate, ${step}: ${count} files in ${seconds(slowest(result))} (the process ${seconds(result.ms)})`,
    );
    return result;
  };

  const last = steps.at(-1)?.name;
  const stopped = up.failure !== undefined;
  if (last === undefined) report.note('nothing went through, so there is nothing to compare');
  else {
    const args = ['up', ...(stopped ? ['--to', last] : [])];
    const result = await migrate('up', steps.length, ...args);
    if (!result) return report.count;
    await compareAll('up', full);
    const times = [{ ours: slowest(result), process: result.ms, theirs: up.ms }];
    for (let round = 2; round <= comparison.rounds; round++) {
      const theirs = await reference.again(await newDatabase(`round_${round}`));
      const tenant = `history_round_${round}`;
      await newTenant(tenant);
      const ours = await tool.must([...args, '--tenant', tenant, '--json']);
      times.push({ ours: slowest(ours), process: ours.ms, theirs });
    }
    const ratios = times.map(({ ours, theirs }) => ours / theirs);
    const processes = times.map(({ process, theirs }) => process / theirs);
    say(
      `    ${median(ratios).toFixed(2)} × ${reference.timed}, the process ${median(processes).toFixed(2)} × (medians of ${times.length}; ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')})`,
    );
  }
  if (stopped) {
    const rest = await tool.run(['up', ...selection, '--json']);
    say(`  mpm-migrate, the rest: ends with ${rest.code}\n${indent(saidBy(rest))}`);
    return report.count;
  }
  if (!(await migrate('up again', 0, 'up'))) return report.count;
  if (!andDown) return report.count;

  const reverted = await reference.down(url, steps.toReversed());
  sayOutcome(say, 'reference, down', reverted);
  if (reverted.done.length === 0) return report.count;
  const floor = await snapshot(url);
  const count = reverted.done.length;
  if (!(await migrate('down', count, 'down', '--steps', String(count)))) return report.count;
  await compareAll('down', floor);

  const again = await reference.up(url, reverted.done.toReversed());
  sayOutcome(say, 'reference, up after down', again);
  if (again.failure) return report.count;
  if (await migrate('up after down', count, 'up')) await compareAll('up after down', await snapshot(url));
  return report.count;
}

class Findings {
  count = 0;
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  note(text: string): void {
    this.#say(`  ${text}`);
  }

  /** True when the command did not end well: what follows would only repeat it. */
  failed(what: string, result: ToolResult): boolean {
    if (result.code === 0) return false;
    this.count++;
    this.#say(`\n✖ ${what} ended with ${result.code}:\n${indent(saidBy(result))}`);
    return true;
  }

  difference(where: string, diff: string | undefined): void {
    if (diff === undefined) return this.#say(`    ${where}: the same`);
    this.count++;
    this.#say(`\n✖ ${where}: differs\n${indent(diff)}`);
  }
}

interface ErrorJson {
  code: string;
  message: string;
  migration?: string;
}

interface ReportJson {
  tenants?: { durationMs: number; error?: ErrorJson }[];
  /** Of what was refused before a tenant was looked at. */
  error?: ErrorJson;
  problems?: ErrorJson[];
}

function reportIn({ stdout }: ToolResult): ReportJson {
  try {
    return JSON.parse(stdout) as ReportJson;
  } catch {
    return {};
  }
}

function slowest(result: ToolResult): number {
  return Math.max(...(reportIn(result).tenants ?? []).map(({ durationMs }) => durationMs));
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

/** The errors of its JSON, else all that it wrote. */
function saidBy(result: ToolResult): string {
  const { tenants = [], error, problems = [] } = reportIn(result);
  const errors = [...tenants.flatMap((tenant) => tenant.error ?? []), ...(error ? [error] : []), ...problems];
  if (errors.length === 0) return `${result.stderr}\n${result.stdout}`.trim();
  return errors.map(({ code, migration = '', message }) => `${code} ${migration}: ${message}`).join('\n');
}

function sayOutcome(say: Comparison['say'], step: string, { done, ms, failure }: Outcome): void {
  say(`  ${step}: ${done.length} files in ${seconds(ms)}`);
  if (failure) say(`    stops at ${failure.file}:\n${indent(failure.message, 6)}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function indent(text: string, by = 4): string {
  return text.replace(/^/gm, ' '.repeat(by));
}

function urlOf(serverUrl: string, database: string): string {
  return Object.assign(new URL(serverUrl), { pathname: `/${database}` }).href;
}
