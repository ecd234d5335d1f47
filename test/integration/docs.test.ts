import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { USUAL_NAMING } from '../../src/engine/source/name.ts';
import { readMigrations } from '../../src/engine/source/source.ts';
import { type ErrorReport, errorReport } from '../../src/errors.ts';
import { down } from '../../src/fleet/verbs/down.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';
import { commandsIn, parseCommand } from '../helpers/remedies.ts';

const databases = withDatabases();
const ROOT = join(import.meta.dirname, '../..');

interface Block {
  /** `docs/library.md:10` */
  place: string;
  language: string;
  code: string;
}

async function blocks(): Promise<Block[]> {
  const pages = (await readdir(join(ROOT, 'docs'))).filter(
    (file) => file.endsWith('.md') && file !== 'api.md',
  );
  const found = await Promise.all(
    ['README.md', ...pages.map((page) => `docs/${page}`)].map(async (page) => {
      const text = await readFile(join(ROOT, page), 'utf8');
      return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(
        ({ index, 1: language = '', 2: code = '' }) => ({
          place: `${page}:${text.slice(0, index).split('\n').length}`,
          language,
          code,
        }),
      );
    }),
  );
  return found.flat();
}

const isConfig = ({ language, code }: Block) => language === 'ts' && code.includes('defineConfig(');
const isModule = ({ language, code }: Block) =>
  language === 'ts' && code.includes('export async function up(');
/** Typed by test/integration/rights.test.ts. */
const isRole = ({ language, code }: Block) => language === 'sql' && code.startsWith('create role ');
const isSql = ({ language, code }: Block) => language === 'sql' && code.startsWith('-- migrate:up');

async function project(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mpm-docs-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('every block of code in the docs is run by one of these tests', async () => {
  const others = (await blocks()).filter(
    (block) =>
      !isConfig(block) &&
      !isModule(block) &&
      !isSql(block) &&
      !isRole(block) &&
      block.language !== 'json' &&
      !['js', 'sh', 'console'].includes(block.language),
  );
  // Blocks of `console` are typed by test/cli/readme.test.ts.
  expect(others).toEqual([]);
});

test('the configurations are read as they stand', async () => {
  const all = (await blocks()).filter(isConfig);
  expect(all.length).toBeGreaterThan(3);
  for (const { code } of all) {
    const folder = await project();
    const file = join(folder, 'mpm-migrate.config.ts');
    await writeFile(file, code);
    expect(await loadConfig({ file }, { cwd: folder, env: {} })).toMatchObject({ root: folder });
  }
});

test('the migrations run as they stand, up and down', async () => {
  const all = await blocks();
  const modules = all.filter(isModule).map(({ code }, at) => [`core/${at + 1}_module.ts`, code]);
  const scripts = all.filter(isSql).map(({ code }, at) => [`core/${at + 10}_script.sql`, code]);
  expect([modules.length, scripts.length]).toEqual([1, 3]);
  const files = Object.fromEntries([...modules, ...scripts]) as Record<string, string>;
  const fleet = await makeFleet(databases, { count: 1, files });
  expect((await up(fleet.config, { all: true })).failures).toEqual([]);
  expect((await up(fleet.config, { all: true }, { phase: 'contract' })).failures).toEqual([]);
  expect(await fleet.historyOf(fleet.tenants[0])).toHaveLength(4);
  expect((await down(fleet.config, { tenants: ['1'] }, { to: '0' })).failures).toEqual([]);
});

test('what is printed as JSON is what it is printed for', async () => {
  const all = (await blocks()).filter(({ language }) => language === 'json');
  const [{ error }] = all.map(({ code }) => JSON.parse(code) as { error: ErrorReport }) as [
    { error: ErrorReport },
  ];
  expect(all).toHaveLength(1);
  const folder = await project();
  await writeFile(join(folder, '0042_status.sql'), 'select 1;\n\n\\set x 1\ncommit;\n');
  const real = errorReport(
    await readMigrations(folder, 'core', USUAL_NAMING).catch((thrown: unknown) => thrown),
  );
  const shown = error.problems?.[0];
  expect(real.code).toBe(error.code);
  expect(real.problems?.[0]).toEqual({
    ...shown,
    file: join(folder, '0042_status.sql'),
    message: expect.stringContaining(shown?.message ?? '-'),
    hint: expect.stringContaining(shown?.hint?.replace(' …', '') ?? '-'),
  });
});

test('the commands are commands of this version', async () => {
  const lines = (await blocks()).filter(({ language }) => language === 'sh').map(({ code }) => code);
  const commands = await commandsIn(lines.join('').replaceAll(/ +#.*$/gm, ''));
  expect(commands.length).toBeGreaterThan(6);
  for (const words of commands) await parseCommand(words);
});

test('fleet 20: programs run as they stand, and print what they say', { timeout: 60_000 }, async () => {
  const programs = (await blocks()).filter(({ language }) => language === 'js');
  expect(programs.map(({ place }) => place.replace(/:.*/, ''))).toEqual(['README.md', 'docs/library.md']);
  for (const { code } of programs) {
    const said = [...code.matchAll(/^ *console\.log\(.*\); \/\/ (.*)$/gm)].map((match) => match[1]);
    expect(said.length).toBeGreaterThan(2);
    const fleet = await makeFleet(databases, { count: 0 });
    const folder = await project();
    await Promise.all([
      mkdir(join(folder, 'node_modules')),
      mkdir(join(folder, 'migrations/core'), { recursive: true }),
    ]);
    await Promise.all([
      symlink(ROOT, join(folder, 'node_modules/mpm-migrate')),
      symlink(join(ROOT, 'node_modules/pg'), join(folder, 'node_modules/pg')),
      writeFile(join(folder, 'migrations/core/1_meters.sql'), 'create table meters (id int primary key);\n'),
      writeFile(join(folder, 'program.mjs'), code),
    ]);
    const { stdout } = await promisify(execFile)(process.execPath, ['program.mjs'], {
      cwd: folder,
      env: { PATH: process.env['PATH'], CENTRAL_URL: fleet.config.central.url },
    }).finally(async () => {
      const made = await fleet.central<{ name: string }>(
        'select database_name as name from company_databases',
      );
      for (const { name } of made) databases.adopt(name);
    });
    expect(stdout.trim().split('\n').sort()).toEqual(said.toSorted());
  }
});
