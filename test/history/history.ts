import { join } from 'node:path';
import { difference, snapshot, type Snapshot } from './compare.ts';
import type { HistoryMigration } from './collect.ts';
import { applyWithPsql, ask, type PsqlResult } from './psql.ts';
import { writeAccepted } from './accept.ts';
import { Tool, type ToolResult } from './tool.ts';

export interface Comparison {
  migrations: readonly HistoryMigration[];
  tenants: number;
  project: string;
  /** Of a superuser on a server of its own. */
  serverUrl: string;
  signal: AbortSignal;
  say(line: string): void;
}

const BY_PSQL = 'by_psql';

/** Applies the migrations on both sides, up, down and up again, and says what differs; returns how many findings. */
export async function compareHistory(comparison: Comparison): Promise<number> {
  const { project, serverUrl, say, signal, tenants } = comparison;
  const tool = new Tool(project, urlOf(serverUrl, 'micro_power_manager'));
  const names = Array.from({ length: tenants }, (_, at) => `history_${at + 1}`);
  const scratch = join(project, 'psql.sql');
  const psqlUrl = urlOf(serverUrl, BY_PSQL);
  const report = new Findings(say);

  await ask(serverUrl, `create database ${BY_PSQL}`);
  const up = await applyWithPsql(psqlUrl, comparison.migrations, 'up', scratch);
  sayPsql(say, 'up', up);
  // What does not run with psql says nothing about the tool; what comes after it may depend on it.
  const migrations = comparison.migrations.slice(0, up.done);
  const full = await snapshot(psqlUrl);
  const reversible = await applyWithPsql(psqlUrl, migrations.toReversed(), 'down', scratch);
  const floor = await snapshot(psqlUrl);
  const again = await applyWithPsql(
    psqlUrl,
    migrations.slice(migrations.length - reversible.done),
    'up',
    scratch,
  );
  const second = await snapshot(psqlUrl);

  await tool.must('central', 'up');
  for (const name of names) await tool.must('tenant', 'create', name, '--database', name);
  const outside = {
    up: new Set([...up.outside, ...namesOutside(migrations, 'up')]),
    down: new Set([...reversible.outside, ...namesOutside(migrations, 'down')]),
  };
  await writeAccepted(tool, migrations, outside, (text) => report.note(text));
  const compareAll = async (step: string, expected: Snapshot): Promise<void> => {
    for (const name of names) {
      signal.throwIfAborted();
      report.difference(
        `${step}, ${name}`,
        await difference(expected, await snapshot(urlOf(serverUrl, name))),
      );
    }
  };

  const applied = await tool.run('up', '--all');
  sayTool(say, 'up', applied, migrations.length, tenants);
  if (report.failed('up --all', applied)) return report.count;
  await compareAll('up', full);
  const nothing = await tool.run('up', '--all');
  sayTool(say, 'up, with nothing to do', nothing, 0, tenants);
  if (report.failed('up --all again', nothing)) return report.count;

  sayPsql(say, 'down', reversible);
  if (reversible.done === 0) return report.count;
  const selection = names.flatMap((name) => ['--tenant', name]);
  const reverted = await tool.run('down', ...selection, '--steps', String(reversible.done));
  sayTool(say, 'down', reverted, reversible.done, tenants);
  if (report.failed('down', reverted)) return report.count;
  await compareAll('down', floor);

  if (again.failure) {
    sayPsql(say, 'up again', again);
    return report.count;
  }
  const reapplied = await tool.run('up', '--all');
  sayPsql(say, 'up again', again);
  sayTool(say, 'up again', reapplied, reversible.done, tenants);
  if (report.failed('up --all after down', reapplied)) return report.count;
  await compareAll('up again', second);
  return report.count;
}

function namesOutside(migrations: readonly HistoryMigration[], direction: 'up' | 'down'): string[] {
  return migrations.filter(({ outside }) => outside[direction]).map(({ name }) => name);
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
  failed(what: string, { code, stdout, stderr }: ToolResult): boolean {
    if (code === 0) return false;
    this.count++;
    this.#say(`\n✖ ${what} ended with ${code}:\n${indent(`${stderr}\n${stdout}`.trim())}`);
    return true;
  }

  difference(where: string, diff: string | undefined): void {
    if (diff === undefined) return this.#say(`    ${where}: the same as with psql`);
    this.count++;
    this.#say(`\n✖ ${where}: differs\n${indent(diff)}`);
  }
}

function sayPsql(say: Comparison['say'], step: string, { done, ms, failure }: PsqlResult): void {
  say(`  psql          ${step}: ${done} files, a process each, in ${seconds(ms)}`);
  if (failure) say(`    stops at ${failure.migration.origin}:\n${indent(failure.message, 6)}`);
}

function sayTool(
  say: Comparison['say'],
  step: string,
  { ms }: ToolResult,
  files: number,
  tenants: number,
): void {
  say(`  mpm-migrate   ${step}: ${files} files on ${tenants} tenants in ${seconds(ms)}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function indent(text: string, by = 4): string {
  return text.replace(/^/gm, ' '.repeat(by));
}

function urlOf(serverUrl: string, database: string): string {
  return Object.assign(new URL(serverUrl), { pathname: `/${database}` }).href;
}
