import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FileProblem } from '../../src/errors.ts';
import type { DoctorReport } from '../../src/fleet/doctor/doctor.ts';
import { cli } from '../helpers/cli.ts';

let cwd: string;

async function write(files: Record<string, string>): Promise<void> {
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(cwd, file)), { recursive: true });
    await writeFile(join(cwd, file), content);
  }
}

/** 90 files of core that are wrong in two ways, six of plugins, two seeds. */
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'mpm-problems-'));
  const numbers = Array.from({ length: 45 }, (_, index) => index + 1);
  const migrations = { core: 'core', tenants: 'tenants', seeds: 'seeds', plugins: 'plugins' };
  // Nobody listens there: files are read before anybody is asked.
  const central = { url: 'postgres://nobody@127.0.0.1:1/central' };
  await write({
    'mpm-migrate.config.json': JSON.stringify({ central, migrations }),
    ...Object.fromEntries(numbers.map((number) => [`core/${number}_a.sql`, 'select 1;\n  commit;\n'])),
    ...Object.fromEntries(numbers.map((number) => [`core/${number}_b.down.sql`, 'select 1;'])),
    ...Object.fromEntries([1, 2, 3].map((number) => [`plugins/meters/${number}00_m.sql`, '\\i x\n'])),
    ...Object.fromEntries(
      [4, 5, 6].map((number) => [`plugins/tariffs/${number}00_t.sql`, 'copy a from stdin;\n1\n\\.\n']),
    ),
    'seeds/1_s.sql': "select 'x",
    'seeds/2_s.sql': '-- @down\ndrop table a;',
  });
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

const byFolder = (problems: readonly FileProblem[]) =>
  Object.fromEntries(
    ['core', 'plugins/meters', 'plugins/tariffs', 'seeds'].map((folder) => [
      folder,
      problems.filter(({ file }) => dirname(file) === join(cwd, folder)).length,
    ]),
  );

describe('histories 13: all that is wrong with files', () => {
  const fleet = { core: 90, 'plugins/meters': 3, 'plugins/tariffs': 3, seeds: 0 };
  test.each([
    ['up --all', fleet],
    ['plan', fleet],
    ['status', fleet],
    ['down --tenant 1', fleet],
    ['baseline --all --to 5', fleet],
    ['plugin uninstall meters --all --keep', fleet],
    ['tenant create Acme', { ...fleet, 'plugins/meters': 0, 'plugins/tariffs': 0, seeds: 2 }],
    ['plugin add meters', { ...fleet, 'plugins/meters': 3, 'plugins/tariffs': 0 }],
    // It copies files, and reads their names only.
    ['sync', { ...fleet, core: 45, 'plugins/meters': 0, 'plugins/tariffs': 0 }],
  ])('is in the JSON of %s, and an annotation each', async (typed, expected) => {
    const env = { GITHUB_ACTIONS: 'true' };
    const { code, stdout, stderr } = await cli([...typed.split(' '), '--json'], { cwd, env });
    expect(code).toBe(1);
    const { error } = JSON.parse(stdout) as { error: { code: string; problems: FileProblem[] } };
    expect(error.code).toBe('MIGRATION_INVALID');
    expect(byFolder(error.problems)).toEqual(expected);
    expect(stderr.match(/^::error /gm)).toHaveLength(error.problems.length);
  });

  test('is in the JSON of doctor, beside what else it finds', async () => {
    const { code, stdout } = await cli(['doctor', '--json'], { cwd });
    expect(code).toBe(4);
    const { findings } = JSON.parse(stdout) as DoctorReport;
    const problems = findings.flatMap(({ problems: found = [] }) => found);
    expect(byFolder(problems)).toEqual({ ...fleet, seeds: 2 });
    expect(findings.map(({ about }) => about)).toContain('central');
  });

  test('is a screen on a terminal: some of each kind, with the folder, and how to see all', async () => {
    const { code, stderr } = await cli(['up', '--all'], { cwd });
    expect(code).toBe(1);
    const lines = stderr.trimEnd().split('\n');
    expect(lines[0]).toBe(`✖ 96 problems in ${cwd}`);
    expect(lines.length).toBeLessThan(40);
    expect(stderr).toMatch(/^ +core\/\d+_a.sql:2:3: commit would end or start a transaction/m);
    expect(stderr).toMatch(/^ +→ add 10_b.up.sql, or remove 10_b.down.sql$/m);
    expect(stderr).toMatch(/^ +plugins\/meters\/100_m.sql:1:1: a psql command: \\i x$/m);
    expect(stderr).toMatch(/^ +plugins\/tariffs\/400_t.sql:1:1: COPY … FROM STDIN/m);
    expect(stderr).toMatch(/^ +… and 4\d more like this$/m);
    expect(stderr).toMatch(/^ +\d+ of 96 are shown; for all, add --json$/m);
  });

  test('is at its line on GitHub', async () => {
    const { stderr } = await cli(['plan'], { cwd, env: { GITHUB_ACTIONS: 'true' } });
    expect(stderr).toMatch(
      /^::error file=core\/7_a\.sql,line=2,col=3,title=mpm-migrate plan::commit would end .*%0Aremove it/m,
    );
    expect(stderr).toMatch(
      /^::error file=core\/7_b\.down\.sql,title=mpm-migrate plan::7_b\.down\.sql has no 7_b\.up\.sql%0Aadd /m,
    );
  });
});
