import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { cli } from '../helpers/cli.ts';
import { withDatabases } from '../helpers/database.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { CORE, makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();
const folder = join(import.meta.dirname, '../../docs/examples/ci');

/** What each system sets on its second machine of four. */
const SECOND: Record<string, Record<string, string>> = {
  'github-actions.yml': { 'matrix.shard': '2/4' },
  'github-pull-request.yml': {},
  'gitlab-ci.yml': { CI_NODE_INDEX: '2', CI_NODE_TOTAL: '4', GITLAB_CI: 'true' },
  'kubernetes-job.yml': { JOB_COMPLETION_INDEX: '1' },
  'kubernetes-deployment.yml': {},
  Dockerfile: {},
};

/** What the gates ask for. */
const NEEDED = { 'core/20260301120000_add_note.sql': 'alter table meters add more text;' };

/** A Dockerfile as a document: what is in front of the first space is the instruction, and lists are JSON. */
function parseDockerfile(text: string): { instruction: string; value: unknown }[] {
  const lines = text.split('\n').filter((line) => line && !line.startsWith('#'));
  return lines.map((line) => {
    const [, instruction = '', value = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    expect(['FROM', 'WORKDIR', 'COPY', 'RUN', 'USER', 'CMD']).toContain(instruction);
    return { instruction, value: value.startsWith('[') ? JSON.parse(value) : value };
  });
}

/** The commands of a document, wherever they stand in it, and what it says of the environment. */
function commandsIn(
  node: unknown,
  found: { commands: string[][]; env: Record<string, string> },
): typeof found {
  if (typeof node === 'string') {
    const words = node.split(' ');
    if (words[0] === 'npx' && words[1] === 'mpm-migrate') found.commands.push(words.slice(2));
  } else if (Array.isArray(node)) {
    if (node[0] === 'npx') found.commands.push((node.slice(2) as unknown[]).map(String));
    else for (const each of node) commandsIn(each, found);
  } else if (node !== null && typeof node === 'object') {
    if ('name' in node && 'value' in node) found.env[String(node.name)] = String(node.value);
    for (const each of Object.values(node)) commandsIn(each, found);
  }
  return found;
}

async function fleetOfPipeline(): Promise<TestFleet> {
  const fleet = await makeFleet(databases, { count: 2, files: { ...CORE, ...NEEDED } });
  const config = { central: fleet.config.central, migrations: { core: 'core', tenants: 'tenants' } };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(config) });
  // What is checked in has been synced, as sync --check wants it.
  await cli(['sync'], { cwd: fleet.config.root });
  return fleet;
}

test('confidence 8: the examples for CI: every command in them runs, and ends with 0', async () => {
  const files = await readdir(folder);
  expect(files.toSorted()).toEqual(Object.keys(SECOND).toSorted());
  const fleets = new Map<string, TestFleet>();
  for (const file of files) {
    const text = await readFile(join(folder, file), 'utf8');
    const document: unknown = file === 'Dockerfile' ? parseDockerfile(text) : parse(text);
    const { commands, env } = commandsIn(document, { commands: [], env: {} });
    expect({ file, none: commands.length === 0 }).toEqual({ file, none: false });
    // One pipeline, one fleet: what Kubernetes runs is one.
    const pipeline = /^(?:github|gitlab)/.exec(file)?.[0] ?? 'kubernetes';
    const fleet = fleets.get(pipeline) ?? (await fleetOfPipeline());
    fleets.set(pipeline, fleet);
    const set = { ...env, ...SECOND[file], MPM_CENTRAL_URL: fleet.config.central.url };
    for (const command of commands) {
      const words = command
        .join(' ')
        .replaceAll(/\$\{\{ (\S+) \}\}/g, (_, name: string) => SECOND[file]?.[name] ?? '');
      // What the other machines have done by then.
      if (words.startsWith('gate')) await up(fleet.config, { all: true });
      const { code, stdout, stderr } = await cli(words.split(' '), { cwd: fleet.config.root, env: set });
      expect({ file, words, code, said: code ? stdout + stderr : '' }).toEqual({
        file,
        words,
        code: 0,
        said: '',
      });
    }
  }
});

test('GITHUB_ACTIONS: one ::error for a group of equal failures, and the step summary', async () => {
  const fleet = await makeFleet(databases, {
    count: 3,
    files: { 'core/1_a.sql': 'create table a ();\nselect 1/0;' },
  });
  const content = { central: fleet.config.central, migrations: { core: 'core', tenants: 'tenants' } };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content), 'summary.md': '# Before\n' });
  const { code, stderr, stdout } = await cli(['up', '--all', '--json'], {
    cwd: fleet.config.root,
    env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: join(fleet.config.root, 'summary.md') },
  });
  expect(code).toBe(3);
  expect(JSON.parse(stdout)).toMatchObject({ counts: { failed: 3 } });
  const errors = stderr.split('\n').filter((line) => line.startsWith('::error'));
  expect(errors).toHaveLength(1);
  expect(errors[0]).toMatch(
    /^::error file=core\/1_a\.sql,line=2,col=\d+,title=3 tenants failed the same way%3A 1_a::division by zero%0A/,
  );
  const summary = await readFile(join(fleet.config.root, 'summary.md'), 'utf8');
  expect(summary).toMatch(/^# Before\n### mpm-migrate up, run 1\n/);
  expect(summary).toContain('| company-1, company-2 and company-3 | 1\\_a | division by zero |');
});
