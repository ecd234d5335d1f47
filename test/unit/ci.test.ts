import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../..');
const text = readFileSync(join(root, '.github/workflows/ci.yml'), 'utf8');
const workflow = parse(text) as { jobs: { check: { strategy: { matrix: { check: string[] } } } } };

test('each check of .ci/run has a box of its own', () => {
  const listed = execFileSync('bash', ['.ci/run', '--list'], { cwd: root, encoding: 'utf8' });
  expect(workflow.jobs.check.strategy.matrix.check).toEqual(listed.trim().split('\n'));
});

test('actions are pinned by commit', () => {
  const uses = [...text.matchAll(/uses: (\S+)/g)].map(([, action = '']) => action);
  expect(uses.length).toBeGreaterThan(0);
  for (const action of uses) expect(action).toMatch(/@[\da-f]{40}$/);
});
