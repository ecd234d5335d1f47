#!/usr/bin/env node
// CommonJS, which Node starts faster; and the two commonest questions are answered with nothing loaded.
'use strict';

const fs = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const argv = process.argv.slice(2);
const [question] = argv.length === 0 ? ['--help'] : argv.length === 1 ? argv : [];

if (question) {
  process.stdout.on('error', (error) => {
    if (error.code === 'EPIPE') return;
    process.stderr.write(`✖ Standard output cannot be written: ${error.message}\n`);
    process.exitCode = 1;
  });
}
if (question === '--version' || question === '-v') {
  const { name, version } = require('../package.json');
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
} else if (['--help', '-h', 'help'].includes(question)) {
  const text = fs.readFileSync(join(root, 'dist/help.txt'), 'utf8');
  const colours = process.stdout.isTTY && process.stdout.hasColors();
  process.stdout.write(colours ? text : require('node:util').stripVTControlCharacters(text));
} else {
  keepCompiled();
  void require('../dist/cli/main.js').run(argv, root);
}

/** Lets Node (22.1 and later) keep what it compiled for the next start, in the user's cache folder. */
function keepCompiled() {
  const { enableCompileCache } = require('node:module');
  if (!enableCompileCache || process.env.NODE_DISABLE_COMPILE_CACHE) return;
  const caches = process.env.XDG_CACHE_HOME || join(require('node:os').homedir(), '.cache');
  const folder = join(caches, 'mpm-migrate');
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    // Compiled code is run unseen: nobody but the user may have written it.
    const { uid, mode } = fs.lstatSync(folder);
    if (process.getuid && (uid !== process.getuid() || mode & 0o077)) return;
    enableCompileCache(folder);
  } catch {
    // A folder that cannot be made: the next start takes as long as this one.
  }
}
